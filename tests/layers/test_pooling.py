"""Pooling that no golden case shows: bottoms too small for a single window."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe.layers import Pooling
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import make

CASES = [
    Case("Pooling", Pooling("MAX", 2, 2), [SHAPE]),
    Case("Pooling", Pooling("AVE", 3, 2, 1), [SHAPE]),
    Case("Pooling", Pooling("AVE", global_pooling=True), [SHAPE]),
]

KINDS = ("pool: MAX", "pool: AVE", "pool: STOCHASTIC", "pool: MAX second_top")
SIZES = {
    "kernel_size: 3": (2, 2),
    "kernel_size: 3 stride: 2 round_mode: FLOOR": (2, 5),
    "kernel_h: 1 kernel_w: 3": (5, 2),
    "kernel_h: 5 kernel_w: 3 pad_h: 1": (2, 4),
}
WINDOWS = [(kind, sizes) for kind in KINDS for sizes in SIZES if "STOCHASTIC" not in kind or "pad" not in sizes]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("known", [True, False], ids=["sizes known", "sizes unknown"])
@pytest.mark.parametrize(("kind", "sizes"), WINDOWS)
def test_no_window_gives_empty_tops_and_a_gradient_of_zeros(kind: str, sizes: str, known: bool, training: bool) -> None:
    high, wide = SIZES[sizes]
    tops = 'top: "top" top: "mask"' if "second_top" in kind else 'top: "top"'
    text = f'type: "Pooling" {tops} pooling_param {{ {kind.replace(" second_top", "")} {sizes} }}'
    layer, _ = make(text, (2, 3, high, wide))
    (shape, *_) = layer.top_shapes((2, high, wide, 3))

    @tf.function(input_signature=[tf.TensorSpec((2, high, wide, 3) if known else (None, None, None, 3))])
    def run(x: tf.Tensor) -> tuple[list[tf.Tensor], tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            found = layer(x, training=training)
            found = found if isinstance(found, list) else [found]
        return found, tape.gradient(found[0], x)

    found, gradient = run(tf.ones((2, high, wide, 3)))
    assert shape[0] == 2 and 0 in shape and [tuple(top.shape) for top in found] == [shape] * len(found)
    np.testing.assert_array_equal(gradient, np.zeros((2, high, wide, 3)))
