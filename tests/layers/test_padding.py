"""Padding: zeros around images, and crops, with their gradients."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe.errors import CaffeError
from keras_caffe.layers import Padding
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import tops
from tests.nets import net_with
from tests.random_nets.parts_simple import simple

CASES = [
    Case(
        "Padding",
        Padding(2, 1),
        [SHAPE],
        net=net_with("Padding", (2, 3, 6, 5), param="padding_param { pad_beg: -1 pad_end: -2 }"),
        values="formula in tests/layers/test_padding.py",
        refused=[
            ({"pad_beg": 1, "pad_end": -1}, "pad_beg and pad_end have different signs; received 1 and -1"),
            ({"pad_end": 1.5}, "pad_end must be a whole number; received 1.5"),
            ({"pad_beg": None}, "pad_beg must be a whole number; received None"),
        ],
    ),
    Case("Padding", Padding(-1, -2), [SHAPE]),
]
PARTS = {"Padding": simple("Padding", "padding_param", (4,), False, pad_beg=(0, 2, None), pad_end=(1, 3, None))}


def wanted(x: np.ndarray, begin: int, end: int) -> np.ndarray:
    """y[i, j] = x[i - begin, j - begin], 0 where there is none; (N, H, W, C)."""
    batch, high, wide, channels = x.shape
    y = np.zeros((batch, high + begin + end, wide + begin + end, channels), x.dtype)
    for i, j in np.ndindex(*y.shape[1:3]):
        if 0 <= i - begin < high and 0 <= j - begin < wide:
            y[:, i, j] = x[:, i - begin, j - begin]
    return y


@pytest.mark.parametrize(("begin", "end"), [(2, 1), (0, 3), (-1, -2), (0, -3), (-2, 0), (0, 0)])
def test_values_and_gradient(begin: int, end: int) -> None:
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype("float32")
    with tf.GradientTape() as tape:
        tape.watch(bottom := tf.constant(x))
        top = Padding(begin, end)(bottom)
    np.testing.assert_array_equal(top, wanted(x, begin, end))
    weights = np.random.default_rng(1).normal(size=top.shape).astype("float32")
    back = tape.gradient(top, bottom, tf.constant(weights))
    np.testing.assert_array_equal(back, wanted(weights, -begin, -end))


def test_files() -> None:
    text = 'type: "Padding" padding_param { pad_beg: %d pad_end: %d }'
    assert tops(text % (1, 2), (1, 2, 6, 8)) == [(1, 2, 9, 11)]
    assert tops(text % (-1, -2), (1, 2, 6, 8)) == [(1, 2, 3, 5)]
    assert tops('type: "Padding"', (1, 2, 6, 8)) == [(1, 2, 6, 8)]
    for param, shape, match in [
        ((-3, -3), (1, 2, 6, 8), r"Padding crops everything away; expected more than 6 pixels"),
        ((1, -1), (1, 2, 6, 8), "different signs"),
        ((1, 1), (2, 6), "Padding needs bottoms with 4 axes"),
    ]:
        with pytest.raises(CaffeError, match=match):
            tops(text % param, shape)
