"""Upsample with a mask, as in SegNet: it undoes MAX pooling."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe.errors import LayerError
from keras_caffe.layers import Pooling, Upsample
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import make, tops

CASES = [
    Case("Upsample", Upsample((2, 3)), [SHAPE]),
    Case("Upsample", Upsample((2, 2)), [SHAPE, SHAPE]),
]

X = np.random.default_rng(0).permutation(2 * 4 * 6 * 3).reshape(2, 4, 6, 3).astype("float32") + 1


def test_values_go_back_to_where_pooling_found_them() -> None:
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        pooled, mask = Pooling("MAX", (2, 2), (2, 2), with_mask=True)(x)
        y = Upsample((2, 2))([pooled, mask])
    assert (y.numpy()[y.numpy() != 0] == X[y.numpy() != 0]).all()
    assert (y.numpy() != 0).sum() == pooled.numpy().size
    np.testing.assert_array_equal(tape.gradient(y, x), y.numpy() != 0)


def test_sizes_that_pooling_rounded_up() -> None:
    mask = np.zeros((1, 3, 4, 1), "float32")
    assert Upsample((2, 2), pad_out=(True, False))([mask, mask]).shape == (1, 5, 8, 1)
    assert Upsample(size=(5, 7))([mask, mask]).shape == (1, 5, 7, 1)


@pytest.mark.parametrize(
    ("param", "top"),
    [
        ("", (6, 8)),
        ("scale: 3", (9, 12)),
        ("scale_h: 3 scale_w: 2", (9, 8)),
        ("pad_out_w: true", (6, 7)),
        ("upsample_h: 5 upsample_w: 7", (5, 7)),
    ],
)
def test_sizes_with_a_mask(param: str, top: tuple[int, int]) -> None:
    shape = (1, 2, 3, 4)
    assert tops(f'type: "Upsample" upsample_param {{ {param} }}', shape, shape) == [(1, 2, *top)]


def test_without_a_mask_nothing_is_scaled_by_default() -> None:
    assert tops('type: "Upsample"', (1, 2, 3, 4)) == [(1, 2, 3, 4)]


def test_refused() -> None:
    with pytest.raises(LayerError, match="mask"):
        tops('type: "Upsample"', (1, 2, 3, 4), (1, 2, 3, 3))
    with pytest.raises(LayerError, match="4 axes"):
        tops('type: "Upsample"', (1, 2, 3))
    with pytest.raises(LayerError, match="scale"):
        make('type: "Upsample" upsample_param { scale: 0 }', (1, 2, 3, 4))
    x = np.zeros((1, 1, 1, 1), "float32")
    with pytest.raises(LayerError, match="mask of Upsample is out of range"):
        Upsample((2, 2))([x, x + 4])
