"""Interp: both computations agree; which size wins; refusals."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_caffe.errors import LayerError
from keras_caffe.layers import Interp
from keras_caffe.ops.interp import interp, interp_twin
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import tops

CASES = [
    Case("Interp", Interp(zoom_factor=2, pad_end=-1), [SHAPE]),
]


@pytest.mark.parametrize("size", [(1, 1), (4, 7), (9, 3), (5, 6), (13, 1)])
def test_the_portable_twin_agrees(size: tuple[int, int]) -> None:
    x = tf.constant(np.random.default_rng(0).normal(size=(2, 5, 6, 3)), "float32")
    results = []
    for kernel in (interp, interp_twin):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = kernel(x, *size)
            loss = tf.reduce_sum(y * tf.reshape(tf.range(tf.size(y), dtype="float32"), y.shape))
        results.append((y, tf.convert_to_tensor(tape.gradient(loss, x))))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-5, atol=1e-2)


def test_no_channels() -> None:
    assert Interp(size=(4, 7))(np.zeros((2, 5, 6, 0))).shape == (2, 4, 7, 0)


def test_open_sizes() -> None:
    layer = Interp(zoom_factor=3, pad_beg=-1)
    inputs = keras.Input((None, None, 2))
    assert layer(inputs).shape == (None, None, None, 2)
    assert keras.Model(inputs, layer(inputs))(np.zeros((1, 5, 4, 2), "float32")).shape == (1, 10, 7, 2)


@pytest.mark.parametrize(
    ("param", "top"),
    [
        ("zoom_factor: 2", (11, 15)),
        ("zoom_factor: 2 height: 3 width: 3", (11, 15)),
        ("shrink_factor: 2 height: 3 width: 3", (3, 4)),
        ("zoom_factor: 2 shrink_factor: 2", (5, 7)),
        ("zoom_factor: 2 shrink_factor: 2 height: 3 width: 3", (3, 3)),
        ("height: 3 width: 20", (3, 20)),
        ("zoom_factor: 0 shrink_factor: 0 height: 3 width: 20", (3, 20)),
    ],
)
def test_which_size_wins(param: str, top: tuple[int, int]) -> None:
    assert tops(f'type: "Interp" interp_param {{ {param} }}', (1, 2, 6, 8)) == [(1, 2, *top)]


@pytest.mark.parametrize(
    ("param", "reason"),
    [
        ("", "Interp has no size"),
        ("height: 3", "Interp has no size"),
        ("height: 0 width: 3", r"size \(height, width\) must be .* of at least 1; received 0"),
        ("zoom_factor: 0", "zoom_factor must be .* of at least 1; received 0"),
        ("shrink_factor: -1", "shrink_factor must be .* of at least 1; received -1"),
        ("zoom_factor: 2 pad_beg: 1", "pad_beg must be a whole number of at most 0; received 1"),
        ("zoom_factor: 2 pad_beg: -3 pad_end: -3", "Interp crops everything away"),
    ],
)
def test_refused(param: str, reason: str) -> None:
    with pytest.raises(LayerError, match=reason):
        tops(f'type: "Interp" interp_param {{ {param} }}', (1, 2, 6, 8))
