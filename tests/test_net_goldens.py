"""Whole nets against Caffe: splits, in-place chains, loss weights, sharing, legacy inputs, loading by name."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import keras_caffe
from keras_caffe.errors import WeightsError
from tests.layers.golden_case import from_edge, to_edge
from tests.shared_goldens import GOLDENS

NET = GOLDENS / "net"
FORMATS = ("channels_last", "channels_first")
NETS = sorted(path.stem for path in NET.glob("net_*.npz"))
WEIGHTS = {"": "w_src.caffemodel", ".h5": "w_src.caffemodel.h5"}

pytestmark = pytest.mark.filterwarnings("ignore::keras_caffe.CaffeWarning")


@cache
def golden(name: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What the file says of the case, and its arrays."""
    with np.load(NET / f"{name}.npz") as file:
        arrays = {key: file[key] for key in file.files if key != "meta"}
        return json.loads(str(file["meta"])), arrays


def group(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {key.removeprefix(f"{prefix}/"): array for key, array in arrays.items() if key.startswith(f"{prefix}/")}


def by_layer(arrays: dict[str, np.ndarray]) -> dict[str, list[np.ndarray]]:
    """{"layer/0": a, "layer/1": b} -> {"layer": [a, b]}."""
    params: dict[str, list[np.ndarray]] = {}
    for key in sorted(arrays, key=lambda k: int(k.rpartition("/")[2])):
        params.setdefault(key.rpartition("/")[0], []).append(arrays[key])
    return params


def source_of(blob: str) -> str:
    """The blob whose values a Split's top has."""
    match = re.fullmatch(r"(.+?)_.+_\d+_split_\d+", blob)
    return match[1] if match else blob


class Run:
    """A golden net with its parameters, run forward on the golden inputs."""

    def __init__(self, name: str, data_format: str) -> None:
        self.meta, self.arrays = golden(name)
        self.data_format = data_format
        self.model = keras_caffe.load(self.meta["prototxt"], phase=self.meta["phase"], data_format=data_format)
        self.model.set_caffe_params(by_layer(group(self.arrays, "param")))

    def __call__(self, model: Any) -> Any:
        names = {name.replace("/", "_"): array for name, array in group(self.arrays, "in").items()}
        fed = {name: to_edge(names[name], self.data_format) for name in model.input_names}
        return model(fed, training=self.meta["phase"] == "TRAIN")

    def close(self, got: Any, want: np.ndarray, what: str) -> None:
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5, err_msg=what)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("name", NETS)
def test_every_blob(name: str, data_format: str) -> None:
    run = Run(name, data_format)
    wanted = {source_of(blob): array for blob, array in group(run.arrays, "out").items()}
    found = run(run.model.extract(list(wanted)))
    for blob, array in wanted.items():
        run.close(from_edge(found[blob], data_format), array, blob)


@pytest.mark.parametrize("name", NETS)
def test_outputs_shapes_and_parameters(name: str) -> None:
    run = Run(name, "channels_first")
    blobs = {blob: tuple(shape) for blob, shape in run.meta["blobs"]}
    assert run.model.caffe_shapes == {blob: shape for blob, shape in blobs.items() if source_of(blob) == blob}
    params = {n: [list(a.shape) for a in arrays] for n, arrays in run.model.get_caffe_params().items()}
    assert params == run.meta["params"]
    assert [run.model.net.values[v].blob for v in run.model.net.inputs] == run.meta["inputs"]
    outputs = [blob for blob in run.meta["outputs"] if source_of(blob) == blob]
    assert [run.model.net.values[v].blob for v in run.model.net.outputs] == outputs


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("name", NETS)
def test_loss_and_its_gradient(name: str, data_format: str) -> None:
    run = Run(name, data_format)
    with tf.GradientTape() as tape:
        run(run.model)
        loss = tf.add_n(run.model.losses) if run.model.losses else tf.zeros(())
    run.close(float(loss), np.float32(run.meta["loss"]), "loss")
    wanted = by_layer(group(run.arrays, "pdiff"))
    held = {(layer, i): h for layer, arrays in wanted.items() for i, h in enumerate(blobs_of(run, layer, arrays))}
    variables = {slot: h.variable for slot, h in held.items() if h.variable.trainable}
    gradients = tape.gradient(loss, [v.value for v in variables.values()])
    for (layer, i), gradient in zip(variables, gradients, strict=True):
        want = wanted[layer][i]
        if gradient is None:
            assert not want.any(), f"{layer}/{i}: no gradient, but Caffe has one"
        else:
            run.close(held[layer, i].blob.to_caffe(np.asarray(gradient)), want, f"{layer}/{i}")
    frozen = held.keys() - variables.keys()
    assert not any(wanted[layer][i].any() for layer, i in frozen)


def blobs_of(run: Run, layer: str, arrays: list[np.ndarray]) -> Any:
    held = run.model.caffe_layers[layer].caffe_blobs
    assert len(held) == len(arrays)
    return held


def target(name: str) -> keras_caffe.CaffeModel:
    """The net that weights are loaded into, its parameters set to 9 + index."""
    model = keras_caffe.load(golden("weights_by_name")[0]["targets"][name]["prototxt"])
    for planned in model.plan.layers.values():
        for i, held in enumerate(planned.layer.caffe_blobs):
            held.set(np.full(held.blob.shape, 9 + i, "float32"))
    return model


TARGETS = golden("weights_by_name")[0]["targets"]


@pytest.mark.parametrize("suffix", WEIGHTS)
@pytest.mark.parametrize("name", TARGETS)
def test_weights_go_by_name(name: str, suffix: str) -> None:
    arrays = golden("weights_by_name")[1]
    model = target(name)
    if WEIGHTS[suffix] in TARGETS[name]["rejected"]:
        with pytest.raises(WeightsError, match="another number of blobs than the layer has"):
            model.load_weights_from(NET / WEIGHTS[suffix])
        return
    model.load_weights_from(NET / WEIGHTS[suffix])
    check_params(model, by_layer(group(arrays, f"tgt/{name}{suffix}")))


def check_params(model: keras_caffe.CaffeModel, wanted: dict[str, list[np.ndarray]]) -> None:
    """Of layers with one name the goldens have the last, as pycaffe's `net.params` does."""
    layers = model.plan.layers.values()
    params = {p.node.name: [bound.get() for bound in p.layer.caffe_blobs] for p in layers if p.blobs}
    assert params.keys() == wanted.keys()
    for layer, arrays in wanted.items():
        for got, want in zip(params[layer], arrays, strict=True):
            np.testing.assert_array_equal(got, want, err_msg=layer)


@pytest.mark.parametrize("kind", ["legacy4d", "double"])
def test_weights_in_other_spellings(kind: str) -> None:
    model = target("same")
    model.load_weights_from(NET / f"w_{kind}.caffemodel")
    for got, want in zip(
        model.get_caffe_params()["a"], by_layer(group(golden("weights_by_name")[1], kind))["a"], strict=True
    ):
        np.testing.assert_array_equal(got, want)
