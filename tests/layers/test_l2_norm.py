"""L2Norm: images of length 1."""

from __future__ import annotations

import numpy as np
import pytest

from keras_caffe.layers import L2Norm
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import make
from tests.nets import net_with

CASES = [
    Case(
        "L2Norm",
        L2Norm(axes=(1, 2, 3)),
        [SHAPE],
        net=net_with("L2Norm", (2, 4, 6, 6)),
        values="formula in tests/layers/test_l2_norm.py",
    ),
]


@pytest.mark.parametrize("shape", [(3, 5), (2, 4, 3, 3)])
def test_the_length_of_each_image_is_one(shape: tuple[int, ...]) -> None:
    layer, orders = make('type: "L2Norm"', shape)
    x = np.random.default_rng(0).normal(size=shape).astype("float32").transpose(orders[0])
    y = np.asarray(layer(x)).reshape(shape[0], -1)
    np.testing.assert_allclose(np.square(y).sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(y / y[:, :1], x.reshape(shape[0], -1) / x.reshape(shape[0], -1)[:, :1], rtol=1e-5)


def test_an_image_of_zeros_stays() -> None:
    layer, _ = make('type: "L2Norm"', (1, 3))
    np.testing.assert_array_equal(layer(np.zeros((1, 3), "float32")), np.zeros((1, 3)))
