"""Mul: spread as NumPy does, in Caffe's order of axes."""

from __future__ import annotations

import numpy as np
import pytest

import keras_caffe
from keras_caffe.errors import CaffeError
from keras_caffe.layers import Mul
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import tops
from tests.layers.numbers import gradients, numbers
from tests.nets import net_with

IMAGES = (2, 3, 4, 5)
NET = net_with("Mul", IMAGES, (3, 1, 5))
CASES = [
    Case(
        "Mul",
        Mul(),
        [SHAPE, (8,)],
        net=net_with("Mul", IMAGES, (3, 1, 5)),
        values="formula in tests/layers/test_mul.py",
    ),
    Case("Mul", Mul((6, 1)), [SHAPE], refused=[({"mul_shape": (2, 0)}, "mul_shape must be .* at least 1; received 0")]),
]
SPREAD = [(IMAGES, IMAGES), (IMAGES, (3, 1, 5)), ((4, 1), (2, 1, 5)), ((2, 3), ()), ((2, 1), (1, 3))]


@pytest.mark.parametrize(("one", "other"), SPREAD)
def test_bottoms_are_spread(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    x, by = numbers(0, one), numbers(1, other)
    assert tops('type: "Mul"', one, other) == [np.broadcast_shapes(one, other)]
    np.testing.assert_allclose(Mul()([x, by]), x * by, rtol=1e-6)


@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
def test_bottoms_of_a_net_are_spread_in_caffes_order(data_format: str) -> None:
    x, by = numbers(0, IMAGES), numbers(1, (3, 1, 5))
    model = keras_caffe.load(net_with("Mul", IMAGES, by.shape), data_format=data_format)
    wanted = x * by
    if data_format == "channels_last":
        x, wanted = np.moveaxis(x, 1, -1), np.moveaxis(wanted, 1, -1)
    np.testing.assert_allclose(model([x, by]), wanted, rtol=1e-6)


def test_gradients() -> None:
    x, by, weights = numbers(0, (2, 3, 4)), numbers(1, (3, 1)), numbers(2, (2, 3, 4))
    of_x, of_by = gradients(Mul(), [x, by], weights)
    np.testing.assert_allclose(of_x, weights * by, rtol=1e-5)
    np.testing.assert_allclose(of_by, (weights * x).sum((0, 2))[:, None], rtol=1e-5)


def test_a_learned_factor() -> None:
    model = keras_caffe.load(net_with("Mul", IMAGES, param="mul_param { mul_shape: 3 mul_shape: 1 mul_shape: 1 }"))
    (name,) = model.caffe_layers
    factor = numbers(3, (3, 1, 1))
    model.set_caffe_params({name: [factor]})
    x = numbers(0, (2, 4, 5, 3))
    np.testing.assert_allclose(model(x), x * factor[:, 0, 0], rtol=1e-6)


def test_refused() -> None:
    with pytest.raises(CaffeError, match="Mul cannot spread one bottom over the other"):
        tops('type: "Mul"', (2, 3), (2, 4))
    with pytest.raises(CaffeError, match="Mul cannot spread one bottom over the other"):
        tops('type: "Mul" mul_param { mul_shape: 4 }', (2, 3))
