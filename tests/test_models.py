"""Real trained networks: every blob that real Caffe recorded, twice (the second time in another size)."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import warnings
from functools import cache
from types import ModuleType

import numpy as np
import pytest

import keras_caffe
from tests.layers.golden_case import from_edge, to_edge
from tests.shared_goldens import MODELS, needs_models


def variants() -> list[tuple[str, dict[str, str]]]:
    """(folder, names of its files) of every net."""
    manifest = json.loads((MODELS / "manifest.json").read_text()) if MODELS.is_dir() else {}
    return [(name, files) for name, entry in sorted(manifest.items()) for files in entry.get("variants", [entry])]


@cache
def checker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("golden_check", MODELS / "golden_check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load(prototxt, weights, data_format: str, inputs: dict[str, np.ndarray]) -> keras_caffe.CaffeModel:
    shapes = {name: array.shape for name, array in inputs.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", keras_caffe.CaffeWarning)  # Foreign fields of the files' forks.
        return keras_caffe.load(prototxt, weights, data_format=data_format, input_shapes=shapes)


def blobs(model: keras_caffe.CaffeModel, inputs: dict[str, np.ndarray], names: list[str]) -> dict[str, np.ndarray]:
    data_format = model.data_format
    fed = {name: to_edge(array, data_format) for name, array in inputs.items()}
    outputs = model.extract(names)(fed)
    return {name: from_edge(outputs[name], data_format) for name in names}


@needs_models
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("name", "files"), variants(), ids=lambda v: v if isinstance(v, str) else v["golden"])
def test_every_recorded_blob(name: str, files: dict[str, str], data_format: str) -> None:
    folder = MODELS / name
    golden = checker().Golden(folder / files["golden"])
    prototxt, weights = folder / files["prototxt"], folder / files["weights"]
    first, second = golden.runs
    model = load(prototxt, weights, data_format, first.inputs)
    check_params(model, golden.meta["params"])
    for run in (first, second):
        if any(a.shape[1:] != first.inputs[n].shape[1:] for n, a in run.inputs.items()):
            model = load(prototxt, weights, data_format, run.inputs)
        assert checker().compare(run, blobs(model, run.inputs, list(run.blobs))) == []


def check_params(model: keras_caffe.CaffeModel, recorded: dict[str, list]) -> None:
    for layer, arrays in model.get_caffe_params().items():
        got = [[list(a.shape), hashlib.sha256(a.astype("<f4").tobytes()).hexdigest()[:16]] for a in arrays]
        assert got == recorded[layer], layer
