"""GRN against a loop over positions: values, gradients, and the gradient that is handed down as it comes."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe.errors import ShapeError
from keras_caffe.layers import GRN
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import from_caffe, make
from tests.nets import net_with
from tests.random_nets.parts_simple import simple

CASES = [
    Case(
        "GRN",
        GRN(0.1),
        [SHAPE],
        net=net_with("GRN", (2, 4, 6, 6), param="grn_param { bias: 0.1 }"),
        values="loops in tests/layers/test_grn.py",
        refused=[
            ({"bias": -1}, "bias must be a number of at least 0; received -1"),
            ({"dummy_backward": 2}, "dummy_backward must be True or False; received 2"),
            ({"axis": 0.5}, "axis must be a whole number; received 0.5"),
        ],
    )
]
PARTS = {"GRN": simple("GRN", "grn_param", (2, 3, 4), False, bias=(0.01, 0.5))}


def loop(x: np.ndarray, diff: np.ndarray, bias: float) -> tuple[np.ndarray, np.ndarray]:
    """Values and gradient of (N, C, places), place by place."""
    y, dx = np.zeros_like(x), np.zeros_like(x)
    for n, p in np.ndindex(x.shape[0], x.shape[2]):
        column, norm = x[n, :, p], np.sqrt(np.square(x[n, :, p]).sum() + bias)
        y[n, :, p] = column / norm
        dx[n, :, p] = diff[n, :, p] / norm - column * (diff[n, :, p] @ y[n, :, p]) / norm**2
    return y, dx


@pytest.mark.parametrize("shape", [(2, 5), (2, 3, 4), (2, 3, 4, 5)])
@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
@pytest.mark.parametrize(("param", "bias"), [("", 1e-7), ("bias: 0.5", 0.5), ("bias: 0.5 dummy_backward: true", 0.5)])
def test_values_and_gradients(shape: tuple[int, ...], data_format: str, param: str, bias: float) -> None:
    rng = np.random.default_rng(0)
    x, diff = rng.normal(size=(2, *shape))
    y, dx = loop(x.reshape(*shape[:2], -1), diff.reshape(*shape[:2], -1), bias)
    dx = diff if "dummy" in param else dx.reshape(shape)
    layer, (order,) = make(f'type: "GRN" grn_param {{ {param} }}', shape, data_format=data_format)
    stored = tf.constant(x.transpose(order), "float32")
    with tf.GradientTape() as tape:
        tape.watch(stored)
        top = layer(stored)
    np.testing.assert_allclose(top, y.reshape(shape).transpose(order), rtol=1e-5, atol=1e-6)
    have = tape.gradient(top, stored, output_gradients=tf.constant(diff.transpose(order), "float32"))
    np.testing.assert_allclose(have, dx.transpose(order), rtol=1e-5, atol=1e-6)


def test_other_bottoms_are_refused() -> None:
    for shape in ((3,), (1, 2, 3, 4, 5)):
        with pytest.raises(ShapeError, match="GRN needs a bottom of 2 to 4 axes"):
            from_caffe('type: "GRN"', shape)
