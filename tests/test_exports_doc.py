"""docs/exports.md: its script and its command, run as they stand there."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

import keras_caffe
from keras_caffe import samples
from keras_caffe.cli import main
from tests.onnx_cases import needs_onnx, run
from tests.shared_goldens import ROOT

TEXT = (ROOT / "docs" / "exports.md").read_text()

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
    code, printed = re.search(r"```python\n(.*?)```\n\n    (.*?)\n", TEXT, re.DOTALL).groups()
    exec(compile(code, "docs/exports.md", "exec"), {})  # noqa: S102
    assert capsys.readouterr().out.strip() == printed


def test_openvino_prints_what_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("openvino", reason="openvino is not there (extra `openvino`)")
    keras_caffe.to_onnx("lenet.prototxt", "lenet.caffemodel", "lenet.onnx")
    blocks = re.findall(r"```python\n(.*?)```\n\n    (.*?)\n", TEXT, re.DOTALL)
    ((code, printed),) = (block for block in blocks if "openvino" in block[0])
    exec(compile(code, "docs/exports.md", "exec"), {})  # noqa: S102
    assert capsys.readouterr().out.strip() == printed


def test_the_command_writes_the_file(folder: Path) -> None:
    (command,) = re.findall(r"^    keras-caffe (.*)", TEXT, re.MULTILINE)
    assert main(shlex.split(command)) == 0
    (scores,) = run(folder / "lenet.onnx", {"data": digit() * np.float32(samples.SCALE)}, ["prob"])
    assert scores.argmax() == 9
