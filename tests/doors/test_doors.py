"""A sample of real Caffe's arrays through every export into every engine that is there; the whole is a script's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from keras_caffe.registry import registered
from tests.doors.cases import Outcome, chosen, outcomes
from tests.doors.engines import OPENCVS, Crash, Door, OpenCV, doors
from tests.doors.table import ALL_DOORS, BEGIN, DOORS, END, FAULTS, known_fault, put, table
from tests.doors.trained import outcomes as model_outcomes
from tests.doors.trained import trained
from tests.layers.golden_case import KINDS, Golden, cases
from tests.onnx_cases import needs_onnx
from tests.shared_goldens import ROOT, needs_models

SEED = 7
SLOW = ["Convolution", "Deconvolution", "Pooling", "Interp"]
"""Types that go through the formats of TensorFlow here, whose exports take seconds; the script takes all"""

pytestmark = needs_onnx


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cases may name files in the working directory."""
    monkeypatch.chdir(tmp_path)


def wrong(found: dict[str, Outcome], case: Golden, opened: bool) -> dict[str, Outcome]:
    record = {"kind": case.kind, "case": case.name, "opened": opened}
    known = {door for door in found if known_fault({**record, "door": door})}
    return {door: one for door, one in found.items() if one.what in ("wrong", "crash") and door not in known}


def there(name: str) -> Door:
    door = doors()[name]
    if door.missing:
        pytest.skip(door.missing)
    return door


@pytest.mark.parametrize("name", [name for name, _ in DOORS[:4]])
@pytest.mark.parametrize("opened", [False, True], ids=["fixed", "open"])
def test_onnx_files_mean_the_same_to_every_engine(name: str, opened: bool, tmp_path: Path) -> None:
    door, found = there(name), {}
    for case in chosen(None, 1, SEED):
        found[str(case)] = wrong(outcomes(case, "onnx", opened, [door], tmp_path), case, opened)
    assert len(found) > 100
    assert not {case: one for case, one in found.items() if one}


@pytest.mark.parametrize("name", [name for name, _ in DOORS[4:]])
def test_the_formats_of_tensorflow_hold_in_every_engine(name: str, tmp_path: Path) -> None:
    door = there(name)
    for case in chosen(SLOW, 1, SEED):
        folder = tmp_path / str(case)
        folder.mkdir()
        opened = door.format == "savedmodel"
        found = outcomes(case, door.format, opened, [door], folder)
        assert not wrong(found, case, opened), str(case)


@pytest.mark.parametrize(
    "kind",
    [
        *("SigmoidCrossEntropyLoss", "Upsample_segnet", "DetectionOutput", "YoloDetectionOutput"),
        *("Yolov3DetectionOutput", "Proposal", "ROIPooling", "CTCGreedyDecoder", "Warp"),
    ],
)
def test_what_tensorflow_lite_computes_in_its_own_way(kind: str, tmp_path: Path) -> None:
    """Scores of 100, a mask that names a place twice, and detectors, whose rows are picked by value."""
    found = next(cases(kind))
    assert outcomes(found, "tflite", False, [there("TFLite in LiteRT")], tmp_path)["TFLite in LiteRT"].what == "holds"


@pytest.mark.parametrize(
    ("kind", "name"), [("PSROIPooling", "c0005"), ("ReverseTime", "c0000"), ("SegAccuracy", "c0000")]
)
def test_what_tensorflow_lite_has_no_operations_for(kind: str, name: str, tmp_path: Path) -> None:
    """A quotient of a constant, inputs of which one alone has a batch, and a matrix's diagonal."""
    found, door = next(case for case in cases(kind) if case.name == name), there("TFLite in LiteRT")
    assert outcomes(found, door.format, False, [door], tmp_path)[door.name].what == "holds"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *(("SoftmaxWithLoss", "c0052"), ("InfogainLoss", "c0028"), ("RNN", "c0000")),
        *(("CTCLoss", "c0005"), ("CTCLoss", "c0015")),
    ],
)
def test_what_openvino_computes_in_its_own_way(kind: str, name: str, tmp_path: Path) -> None:
    """Of a SavedModel: the axis of a LogSoftmax behind a Transpose, a loop that begins with the step's input, and one
    row of labels, looked up where a sort has put them."""
    found, door = next(case for case in cases(kind) if case.name == name), there("SavedModel in OpenVINO")
    assert outcomes(found, door.format, False, [door], tmp_path)[door.name].what == "holds"


@pytest.mark.parametrize("kind", ["RegionLoss", "Yolov3"])
def test_losses_of_any_number_of_truths(kind: str, tmp_path: Path) -> None:
    """The truths of a batch stand on four axes, as pictures do: their number is open, too."""
    found, door = next(cases(kind)), there("SavedModel in TensorFlow")
    assert outcomes(found, door.format, True, [door], tmp_path)[door.name].what == "holds"


@needs_models
@pytest.mark.parametrize("name", [name for name, _ in ALL_DOORS])
def test_trained_networks_hold_in_every_engine(name: str, tmp_path: Path) -> None:
    """Two pictures of 12 x 12 in a file for any size, or one after the other in TensorFlow Lite's."""
    door = there(name)
    (_, second) = trained(["mtcnn_det1"])
    opened = door.format != "tflite"
    assert model_outcomes(second, door.format, opened, [door], tmp_path)[name].what == "holds"
    second.arrays["b2/output/prob1"][1] += 0.01
    assert model_outcomes(second, door.format, opened, [door], tmp_path)[name].what == "wrong"


def test_an_engine_that_ends_its_process_is_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dying = tmp_path / "worker.py"
    dying.write_text('print(\'{"version": "0"}\', flush=True)\ninput()\nimport os\nos.abort()\n')
    monkeypatch.setattr("tests.doors.engines.WORKER", dying)
    engine = OpenCV(sys.executable)
    with pytest.raises(Crash, match="ended with -6"):
        engine(tmp_path / "net.onnx", {}, [])
    engine.close()


def test_the_script_goes_on_where_it_stopped(tmp_path: Path) -> None:
    state = tmp_path / "state.jsonl"
    begun = {"kind": "ReLU", "case": "c0000", "format": "onnx", "opened": False, "what": "begun"}
    state.write_text(json.dumps({**begun, "doors": ["ONNX Runtime"]}) + "\n")
    command = [sys.executable, str(ROOT / "scripts" / "export_matrix.py"), "--types", "ReLU", "--formats", "onnx"]
    light = {**os.environ, "KERAS_BACKEND": "numpy", OPENCVS: ""}
    command += ["--cases", "1", "--state", str(state)]
    done = subprocess.run(command, cwd=tmp_path, env=light, capture_output=True, text=True, timeout=120)
    kept = [json.loads(line) for line in state.read_text().splitlines()]
    runtime = [r["what"] for r in kept if r.get("door") == "ONNX Runtime" and not r["opened"] and r["case"] == "c0000"]
    assert runtime == ["holds"], done.stderr


def test_the_table_says_what_came_of_it(tmp_path: Path) -> None:
    record = {"kind": "ReLU", "case": "c0", "format": "onnx", "door": "ONNX Runtime", "why": ""}
    declined = {**record, "kind": "Tile_x", "what": "declined", "why": "not known: 3"}
    text = table([{**record, "opened": False, "what": "holds"}, *({**declined, "opened": o} for o in (False, True))])
    assert "| ReLU | holds |" in text
    assert "| Tile | no [1] |" in text
    assert text.endswith("1. not known: …")
    nets = table([{**record, "opened": False, "what": "holds"}], "net", ALL_DOORS, lambda record: "mtcnn_det1")
    assert "| mtcnn_det1 | holds |" in nets
    assert nets.startswith("| net | ONNX Runtime | OpenVINO | OpenVINO, IR |")
    page = tmp_path / "page.md"
    page.write_text(f"a\n{BEGIN}\nold\n{END}\nb\n")
    put(page, text)
    assert page.read_text() == f"a\n{BEGIN}\n{text}\n{END}\nb\n"


def test_faults_are_of_known_types_and_doors() -> None:
    types = {kind.partition("_")[0] for kind in KINDS}
    assert {type for type, _ in FAULTS} <= types & set(registered())
    assert {door for _, door in FAULTS} <= {door for door, _ in DOORS}
    for (type, _), fault in FAULTS.items():
        assert fault.cases <= {case.name for case in cases(type)}


def test_a_fault_excuses_its_own_cases_alone() -> None:
    record = {"kind": "DepthwiseConvolution", "case": "c0008", "door": "OpenCV 4", "opened": True}
    assert known_fault(record)
    assert not known_fault({**record, "opened": False})
    assert not known_fault({**record, "case": "c0009"})
    assert not known_fault({**record, "door": "OpenCV 5"})
