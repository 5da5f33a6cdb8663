"""to_code: files that build the nets again, short and clean, with the same numbers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_caffe
from keras_caffe import samples
from keras_caffe.cli import main
from keras_caffe.errors import ExportError
from scripts.benchmarks import nets

RULES = ["--isolated", "--line-length", "120"]


def built(text: str) -> Any:
    code: dict[str, Any] = {"__name__": "net"}
    exec(compile(text, "net.py", "exec"), code)
    return code["build_model"]()


def is_clean(file: Path) -> bool:
    ruff = [sys.executable, "-m", "ruff"]
    check = subprocess.run([*ruff, "check", "--select", "E,F,I,W,B,UP", *RULES, str(file)], check=False)
    layout = subprocess.run([*ruff, "format", "--check", *RULES, str(file)], check=False)
    return check.returncode == layout.returncode == 0


def test_the_command_writes_code_and_weights(tmp_path: Path) -> None:
    code, weights = tmp_path / "net.py", tmp_path / "net.weights.h5"
    files = [str(samples.path(f"lenet.{suffix}")) for suffix in ("prototxt", "caffemodel")]
    assert main(["code", *files, "-o", str(code), "--weights", str(weights)]) == 0
    assert len(code.read_text().splitlines()) < 60
    assert is_clean(code)
    model, x = built(code.read_text()), np.random.default_rng(0).random((2, 28, 28, 1), "float32")
    model.load_weights(weights)
    np.testing.assert_allclose(model(x), keras_caffe.load(*files)(x), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("net", "most"), [("googlenet", 150), ("squeezenet", 80), ("resnet50", 120)])
def test_repeated_parts_are_functions(net: str, most: int, tmp_path: Path) -> None:
    model = keras_caffe.load(getattr(nets, net)())
    text = keras_caffe.to_code(model)
    assert len(text.splitlines()) < most
    (tmp_path / "net.py").write_text(text)
    assert is_clean(tmp_path / "net.py")
    names = {layer.name for layer in keras_caffe.to_keras(model).layers if layer.weights}
    assert names == {layer.name for layer in built(text).layers if layer.weights}


HOSTILE = r"""name: "\"\"\"\nimport os"
layer { name: "x\"); import os; (\"" type: "Input" top: "class" input_param { shape { dim: 1 dim: 2 } } }
layer { name: "{__import__(0)}\\" type: "InnerProduct" bottom: "class" top: "def"
  inner_product_param { num_output: 3 } }
layer { name: "print" type: "ReLU" bottom: "def" top: "lambda" }
"""


def test_names_from_files_stay_texts(tmp_path: Path) -> None:
    model = keras_caffe.load(HOSTILE)
    for style in ("keras", "caffe"):
        text = keras_caffe.to_code(model, style)
        assert not any(line.startswith("import os") for line in text.splitlines())
        compile(text, "net.py", "exec")
    assert built(keras_caffe.to_code(model)).count_params() == 9


def test_netspec_writes_the_same_net(monkeypatch: pytest.MonkeyPatch) -> None:
    model = keras_caffe.load(nets.squeezenet())
    monkeypatch.setitem(sys.modules, "caffe", keras_caffe.pycaffe)
    code: dict[str, Any] = {"__name__": "net"}
    exec(compile(keras_caffe.to_code(model, "caffe"), "net.py", "exec"), code)
    again = keras_caffe.load(code["build_net"]()).net.message
    assert list(again.layer) == list(model.net.message.layer)


def test_unknown_styles_are_refused() -> None:
    with pytest.raises(ExportError, match="no such style"):
        keras_caffe.to_code(keras_caffe.load(samples.path("lenet.prototxt")), "torch")
