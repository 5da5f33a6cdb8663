"""docs/layers.md is up to date, has every type, and its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import generate_layer_docs as docs
from scripts import generated_page
from tests.layers.cases import own_types

ROOT = Path(__file__).resolve().parents[1]

BVLC = """
AbsVal Accuracy ArgMax BNLL BatchNorm BatchReindex Bias Clip Concat ContrastiveLoss Convolution Crop Data Deconvolution
Dropout DummyData ELU Eltwise Embed EuclideanLoss Exp Filter Flatten HDF5Data HDF5Output HingeLoss Im2col ImageData
InfogainLoss InnerProduct Input LRN LSTM LSTMUnit Log MVN MemoryData MultinomialLogisticLoss PReLU Parameter Pooling
Power Python RNN ReLU Reduction Reshape SPP Scale Sigmoid SigmoidCrossEntropyLoss Silence Slice Softmax SoftmaxWithLoss
Split Swish TanH Threshold Tile WindowData
""".split()

TYPES = own_types()


def test_the_page_is_up_to_date() -> None:
    script = [sys.executable, ROOT / "scripts" / "generate_layer_docs.py", "--check"]
    run = subprocess.run(script, capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.returncode == 0, run.stderr.splitlines()[-1]


def test_a_stale_page_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    page = tmp_path / "layers.md"
    monkeypatch.setattr(sys, "argv", ["generate_layer_docs.py", "--check"])
    assert generated_page.write(page, "new", None) == 1
    assert capsys.readouterr().err == "layers.md is stale: run generate_layer_docs.py\n"
    page.write_text("new")
    assert generated_page.write(page, "new", None) == 0


@pytest.mark.parametrize("name", TYPES)
def test_every_type_has_a_row_and_a_section(name: str) -> None:
    page = docs.PAGE.read_text()
    there = f"| [{name}](#{name.lower()}) |" in page and f"\n## {name}\n" in page
    assert there, f"docs/layers.md lacks {name}: run scripts/generate_layer_docs.py"


def test_every_type_of_bvlc_is_there() -> None:
    assert len(BVLC) == 61
    assert sorted(name for name, cls in TYPES.items() if docs.origin(cls)[0] == "BVLC") == sorted(BVLC)


def test_links_lead_somewhere() -> None:
    page = docs.PAGE.read_text()
    anchors = {title.strip().lower().replace(" ", "-") for title in re.findall(r"^#+ (.*)$", page, re.M)}
    assert set(re.findall(r"\]\(#([^)]*)\)", page)) <= anchors
    assert all((docs.PAGE.parent / path).exists() for path in re.findall(r"\]\(([\w./]+)\)", page))
