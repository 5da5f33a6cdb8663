"""Real trained networks: every blob that real Caffe recorded, twice (the second time in another size)."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

import keras_caffe
from tests.golden_models import checker, load, variants
from tests.layers.golden_case import from_edge, to_edge
from tests.shared_goldens import MODELS, needs_models


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
