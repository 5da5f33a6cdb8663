"""Every registered type has goldens, or a reason, and a row in the docs; every message has a reader, or a reason."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from keras_caffe import proto
from keras_caffe.layers.source import SourceLayer
from scripts import generate_layer_docs as docs

ROOT = Path(__file__).resolve().parents[1]

BVLC = """
AbsVal Accuracy ArgMax BNLL BatchNorm BatchReindex Bias Clip Concat ContrastiveLoss Convolution Crop Data Deconvolution
Dropout DummyData ELU Eltwise Embed EuclideanLoss Exp Filter Flatten HDF5Data HDF5Output HingeLoss Im2col ImageData
InfogainLoss InnerProduct Input LRN LSTM LSTMUnit Log MVN MemoryData MultinomialLogisticLoss PReLU Parameter Pooling
Power Python RNN ReLU Reduction Reshape SPP Scale Sigmoid SigmoidCrossEntropyLoss Silence Slice Softmax SoftmaxWithLoss
Split Swish TanH Threshold Tile WindowData
""".split()

NO_TYPES = {"Fillers", "InPlaceChain"}  # Goldens of the fillers and of several layers in one place.

TYPES = docs.types()


def test_the_page_is_up_to_date() -> None:
    script = [sys.executable, ROOT / "scripts" / "generate_layer_docs.py", "--check"]
    run = subprocess.run(script, capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.returncode == 0, run.stderr.splitlines()[-1]


def test_a_stale_page_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docs, "PAGE", tmp_path / "layers.md")
    monkeypatch.setattr(docs, "page", lambda: "new")
    monkeypatch.setattr(sys, "argv", ["generate_layer_docs.py", "--check"])
    assert docs.main() == 1
    docs.PAGE.write_text("new")
    assert docs.main() == 0


@pytest.mark.parametrize("name", TYPES)
def test_every_type_has_goldens_or_a_reason(name: str) -> None:
    has_goldens = docs.goldens(name)[0]
    if issubclass(TYPES[name], SourceLayer):
        assert name not in docs.WITHOUT_GOLDENS, "one reason serves all data layers"
    else:
        assert has_goldens != (name in docs.WITHOUT_GOLDENS), "goldens, or a reason in WITHOUT_GOLDENS; not both"


def test_goldens_belong_to_types() -> None:
    assert {path.stem.split("_")[0] for path in docs.GOLDENS.glob("*.npz")} <= set(TYPES) | NO_TYPES
    assert set(docs.WITHOUT_GOLDENS) <= set(TYPES)


def test_reasons_name_what_is_there() -> None:
    named = re.findall(r"tests/[\w./]*\w", " ".join([*docs.WITHOUT_GOLDENS.values(), docs.DATA_LAYER]))
    assert named and all((ROOT / path).exists() for path in named)


@pytest.mark.parametrize("name", TYPES)
def test_every_type_has_a_row_and_a_section(name: str) -> None:
    page = docs.PAGE.read_text()
    assert f"| [{name}](#{name.lower()}) |" in page and f"\n## {name}\n" in page


def test_every_type_of_bvlc_is_there() -> None:
    assert len(BVLC) == 61
    assert sorted(name for name, cls in TYPES.items() if docs.origin(cls)[0] == "BVLC") == sorted(BVLC)


def test_every_message_has_a_reader_or_a_reason() -> None:
    declared = {
        f.name for f in proto.LayerParameter.DESCRIPTOR.fields if f.name.endswith("_param") and f.number < 30000
    }
    read = {field.name for name, cls in TYPES.items() for field in docs.parameters(name, cls)}
    assert declared - read == set(docs.UNREAD), "read by a layer, or listed with a reason in UNREAD; not both"


def test_links_lead_somewhere() -> None:
    page = docs.PAGE.read_text()
    anchors = {title.strip().lower().replace(" ", "-") for title in re.findall(r"^#+ (.*)$", page, re.M)}
    assert set(re.findall(r"\]\(#([^)]*)\)", page)) <= anchors
    assert all((docs.PAGE.parent / path).exists() for path in re.findall(r"\]\(([\w./]+)\)", page))
