"""BN in its three definitions, against plain NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from keras_caffe.converters.load import load
from keras_caffe.errors import LayerError
from keras_caffe.layers import BN
from tests.layers.cases import SHAPE, Case
from tests.nets import input_layer, layer, net_with

CASES = [
    Case(
        "BN",
        BN(),
        [SHAPE],
        net=net_with("BN", (2, 4, 6, 6), param="bn_param { momentum: 0.8 }"),
    ),
    Case("BN", BN(statistics="batch", more_tops=2), [SHAPE]),
    Case("BN", BN(statistics="none"), [SHAPE]),
]

X = np.random.default_rng(0).normal(1, 2, (4, 3, 5, 6)).astype("float32")
MEAN, VARIANCE = X.mean((0, 2, 3)), X.var((0, 2, 3))
SLOPE, BIAS = np.array([1.0, 2.0, -1.0], "float32"), np.array([0.5, 0.0, 1.0], "float32")
M0, V0 = np.array([0.1, 0.2, 0.3], "float32"), np.array([1.0, 2.0, 3.0], "float32")


def net(param: str, more: str = "", **kwargs: Any) -> Any:
    text = input_layer("x", 4, 3, 5, 6) + layer("bn", "BN", "x", "y", f"{more} bn_param {{ {param} }}")
    model = load(text, data_format="channels_first", **kwargs)
    shapes = [p.shape for p in model.get_caffe_params()["bn"]]
    values = zip((SLOPE, BIAS, M0, V0), shapes, strict=False)
    model.set_caffe_params({"bn": [value.reshape(shape) for value, shape in values]})
    return model, shapes


def normal(mean: np.ndarray, variance: np.ndarray, eps: float) -> np.ndarray:
    wide = (1, 3, 1, 1)
    y = (X - mean.reshape(wide)) / np.sqrt(variance.reshape(wide) + eps)
    return y * SLOPE.reshape(wide) + BIAS.reshape(wide)


def close(got: Any, want: np.ndarray) -> None:
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_pspnet() -> None:
    model, shapes = net("momentum: 0.8 eps: 0.01")
    assert shapes == [(1, 3, 1, 1)] * 4
    close(model(X), normal(M0, V0, 0.01))
    close(model(X, training=True), normal(MEAN, VARIANCE, 0.01))
    *_, mean, variance = model.get_caffe_params()["bn"]
    close(mean[0, :, 0, 0], 0.8 * M0 + 0.2 * MEAN)
    close(variance[0, :, 0, 0], 0.8 * V0 + 0.2 * VARIANCE)


def test_frozen() -> None:
    model, _ = net("frozen: true slope_filler { value: 1 } bias_filler { value: 0 }")
    close(model(X, training=True), normal(M0, V0, 1e-5))
    close(model.get_caffe_params()["bn"][2][0, :, 0, 0], M0)
    assert not model.trainable_variables


def test_frozen_starts_with_variance_1() -> None:
    param = "bn_param { frozen: true slope_filler { value: 2 } }"
    text = input_layer("x", 4, 3) + layer("bn", "BN", "x", "y", param)
    np.testing.assert_allclose(load(text)(np.ones((4, 3))), np.full((4, 3), 2 / np.sqrt(1 + 1e-5)), rtol=1e-6)


def test_pspnet_earlier_code() -> None:
    model, shapes = net("decay: 0.25 var_eps: 0.01")
    assert shapes == [(1, 3, 1, 1)] * 4
    close(model(X), normal(MEAN, VARIANCE, 0.01))
    close(model.get_caffe_params()["bn"][2].reshape(-1), M0)
    model(X, training=True)
    close(model.get_caffe_params()["bn"][2].reshape(-1), 0.75 * M0 + 0.25 * MEAN)
    moving, _ = net("decay: 0.25 var_eps: 0.01 moving_average: true")
    close(moving(X), normal(M0, V0, 0.01))
    close(moving(X, training=True), normal(MEAN, VARIANCE, 0.01))


def test_segnet() -> None:
    model, shapes = net("scale_filler { value: 1 } shift_filler { value: 0.001 }", 'top: "mean" top: "variance"')
    assert shapes == [(1, 3, 1, 1)] * 2
    tops = model(X)
    close(tops["y"], normal(MEAN, VARIANCE, 1e-9))
    close(tops["mean"], MEAN.reshape(1, 3, 1, 1))
    close(tops["variance"], VARIANCE.reshape(1, 3, 1, 1))
    inference, _ = net("bn_mode: INFERENCE")
    close(inference(X, training=True), X * SLOPE.reshape(1, 3, 1, 1) + BIAS.reshape(1, 3, 1, 1))


@pytest.mark.parametrize(("fork", "blobs"), [(None, 2), ("segnet", 2), ("pspnet", 4)])
def test_the_caller_may_name_the_fork(fork: str | None, blobs: int) -> None:
    model, shapes = net("scale_filler { value: 3 }", fork=fork)
    assert len(shapes) == blobs
    assert str(model.caffe_layers["bn"].scale_filler) == "{'type': 'constant', 'value': 3.0}"


def test_refusals() -> None:
    with pytest.raises(LayerError, match="channel axis"):
        net("axis: 3")
    with pytest.raises(LayerError, match="further tops"):
        net("frozen: true", 'top: "mean"', fork="pspnet")


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_both_layouts(data_format: str) -> None:
    text = input_layer("x", 4, 3, 5, 6) + layer("bn", "BN", "x", "y", "bn_param { slope_filler { value: 1 } }")
    model = load(text, data_format=data_format)
    x = X if data_format == "channels_first" else np.moveaxis(X, 1, -1)
    y = np.asarray(model(x, training=True))
    y = y if data_format == "channels_first" else np.moveaxis(y, -1, 1)
    close(y, (X - MEAN.reshape(1, 3, 1, 1)) / np.sqrt(VARIANCE.reshape(1, 3, 1, 1) + 1e-5))
