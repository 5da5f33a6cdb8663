"""docs/exports.md: its script and its command, run as they stand there."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_caffe
from keras_caffe import samples
from keras_caffe.cli import main
from tests.onnx_cases import needs_onnx, run
from tests.shared_goldens import ROOT

TEXT = (ROOT / "docs" / "exports.md").read_text()
SCRIPTS = re.findall(r"```python\n([^`]*)```\n\n    (.*?)\n", TEXT)  # with what each prints

pytestmark = needs_onnx


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The documented files, in the working directory."""
    for name in ("lenet.prototxt", "lenet.caffemodel"):
        shutil.copy(samples.path(name), tmp_path)
    np.save(tmp_path / "digit.npy", digit())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def digit() -> np.ndarray:
    pixels, _ = samples.digits()
    return pixels[:1].reshape(1, 1, 28, 28)


def test_the_script_prints_what_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    code, printed = SCRIPTS[0]
    exec(compile(code, "docs/exports.md", "exec"), {})  # noqa: S102
    assert capsys.readouterr().out.strip() == printed


def test_openvino_prints_what_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("openvino", reason="openvino is not there (extra `openvino`)")
    keras_caffe.to_onnx("lenet.prototxt", "lenet.caffemodel", "lenet.onnx")
    ((code, printed),) = (script for script in SCRIPTS if "openvino" in script[0])
    exec(compile(code, "docs/exports.md", "exec"), {})  # noqa: S102
    assert capsys.readouterr().out.strip() == printed


def test_the_command_writes_the_file(folder: Path) -> None:
    (command,) = re.findall(r"^    keras-caffe (.* lenet.onnx)$", TEXT, re.MULTILINE)
    assert main(shlex.split(command)) == 0
    (scores,) = run(folder / "lenet.onnx", {"data": digit() * np.float32(samples.SCALE)}, ["prob"])
    assert scores.argmax() == 9


# An SSD of random weights: 16 places with two priors each, three labels, the background among them.
SSD = """
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "feature" type: "Pooling" bottom: "data" top: "feature" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "prior" type: "PriorBox" bottom: "feature" bottom: "data" top: "prior"
  prior_box_param { min_size: 2 max_size: 4 variance: [0.1, 0.1, 0.2, 0.2] } }
layer { name: "loc_conv" type: "Convolution" bottom: "feature" top: "loc_conv"
  convolution_param { num_output: 8 kernel_size: 1 weight_filler { type: "gaussian" std: 0.5 } } }
layer { name: "loc_perm" type: "Permute" bottom: "loc_conv" top: "loc_perm" permute_param { order: [0, 2, 3, 1] } }
layer { name: "loc" type: "Flatten" bottom: "loc_perm" top: "loc" }
layer { name: "conf_conv" type: "Convolution" bottom: "feature" top: "conf_conv"
  convolution_param { num_output: 6 kernel_size: 1 weight_filler { type: "gaussian" std: 0.5 } } }
layer { name: "conf_perm" type: "Permute" bottom: "conf_conv" top: "conf_perm" permute_param { order: [0, 2, 3, 1] } }
layer { name: "conf_rows" type: "Reshape" bottom: "conf_perm" top: "conf_rows"
  reshape_param { shape { dim: 0 dim: -1 dim: 3 } } }
layer { name: "conf_soft" type: "Softmax" bottom: "conf_rows" top: "conf_soft" softmax_param { axis: 2 } }
layer { name: "conf" type: "Flatten" bottom: "conf_soft" top: "conf" }
layer { name: "found" type: "DetectionOutput" bottom: "loc" bottom: "conf" bottom: "prior" top: "found"
  detection_output_param { num_classes: 3 confidence_threshold: 0.2 code_type: CENTER_SIZE
    nms_param { nms_threshold: 0.45 top_k: 400 } keep_top_k: 200 } }
"""


@pytest.mark.parametrize("form", ["onnx", "tflite"])
def test_raw_detections_become_the_models_boxes(form: str, folder: Path) -> None:
    (folder / "ssd.prototxt").write_text(SSD)
    model = keras_caffe.load("ssd.prototxt", data_format="channels_first")
    keras_caffe.save(model, caffemodel="ssd.caffemodel")
    command = ["export", "ssd.prototxt", "ssd.caffemodel", "--format", form, "--detections", "raw", "-o", f"ssd.{form}"]
    assert main([*command, "--static", "--data-format", "channels_first"]) == 0
    x = np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype("float32")
    if form == "onnx":
        raw = run(folder / "ssd.onnx", {"data": x}, ["loc", "conf", "prior"])
    else:
        raw = lite(folder / "ssd.tflite", x, ["loc", "conf", "prior"])
    scope: dict[str, Any] = {}
    (code,) = re.findall(r"```python\n(import numpy as np\n\n\ndef detections.*?)```", TEXT, re.DOTALL)
    exec(compile(code, "docs/exports.md", "exec"), scope)  # noqa: S102
    rows = np.asarray(model(x)).reshape(-1, 7)
    for label in (1, 2):
        expected = rows[rows[:, 1] == label, 2:]
        assert len(expected)
        np.testing.assert_allclose(scope["detections"](*raw, label, threshold=0.2), expected, rtol=1e-4, atol=1e-5)


def lite(file: Path, x: np.ndarray, names: list[str]) -> list[np.ndarray]:
    """What LiteRT makes of a file's only input."""
    interpreter = pytest.importorskip("ai_edge_litert.interpreter", reason="LiteRT is not there (extra `litert`)")
    runner = interpreter.Interpreter(str(file)).get_signature_runner()
    found = runner(data=x)
    return [found[name] for name in names]


def test_raw_detections_are_asked_for_of_detectors(capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "export",
        "lenet.prototxt",
        "lenet.caffemodel",
        "--format",
        "onnx",
        "-o",
        "x.onnx",
        "--detections",
        "raw",
    ]
    assert main(command) == 1
    assert "the net gives no detections; expected a layer of type DetectionOutput" in capsys.readouterr().err
