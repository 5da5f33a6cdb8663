"""The examples in the docstrings of public functions and of the commonest layers do what they say."""

from __future__ import annotations

import doctest
import inspect
import re
import types
from collections.abc import Iterator
from pathlib import Path
from pydoc import locate
from typing import Any

import numpy as np
import pytest

import keras_caffe
from keras_caffe import layers, registry
from tests.shared_goldens import ROOT

REFERENCE = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
LAYERS = (
    "Accuracy BatchNorm Bias Concat Convolution Deconvolution Dropout ELU Eltwise EuclideanLoss Flatten InnerProduct"
)
LAYERS += " LRN PReLU Pooling Power ReLU Reshape Scale Sigmoid Slice Softmax SoftmaxWithLoss TanH"
NEEDS = {
    "to_onnx": "onnx",
    "readNetFromCaffe": "onnxruntime",
    "readNet": "onnxruntime",
    "view": "igraph",
    "plots": "matplotlib",
}


def public() -> dict[str, Any]:
    """{path: what must have an example}."""
    names = [f"keras_caffe.{name}" for name in keras_caffe.__all__]
    found = {name: locate(name) for name in [*names, *re.findall(r"^::: (\S+)$", REFERENCE, re.MULTILINE)]}
    rooms = [keras_caffe.plots, keras_caffe.known, keras_caffe.cv_dnn]
    found |= {f"{room.__name__}.{name}": value for room in rooms for name, value in own_functions(room)}
    functions = {path: value for path, value in found.items() if inspect.isfunction(value)}
    return {f"{value.__module__}.{value.__name__}": value for value in functions.values()}


def own_functions(room: types.ModuleType) -> Iterator[tuple[str, Any]]:
    for name, value in vars(room).items():
        if inspect.isfunction(value) and value.__module__ == room.__name__ and not name.startswith("_"):
            yield name, value


EXAMPLES = {
    **public(),
    "CaffeModel": keras_caffe.CaffeModel,
    **{name: getattr(layers, name) for name in LAYERS.split()},
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_does_what_it_says(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part, library in NEEDS.items():
        if part in name.split("."):
            pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_classes", dict(registry._classes))
    names = {"keras_caffe": keras_caffe, "np": np}
    test = doctest.DocTestParser().get_doctest(inspect.getdoc(EXAMPLES[name]) or "", names, name, None, 0)
    assert test.examples, f"{name} has no example: add one to its docstring, as the others have"
    said: list[str] = []
    doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    assert not said, "".join(said)
