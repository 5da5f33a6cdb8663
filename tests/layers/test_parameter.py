"""Parameter as a plain Keras layer (in nets: the goldens)."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from keras_caffe.layers import Parameter
from tests.layers.cases import Case

CASES = [
    Case("Parameter", reason="it has no bottom"),
]


def test_the_top_is_the_blob_whatever_the_anchor() -> None:
    layer = Parameter((2, 3))
    with tf.GradientTape() as tape:
        top = layer(tf.ones((7, 5)))
        total = tf.reduce_sum(top * [[1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(top, np.zeros((2, 3)))
    np.testing.assert_array_equal(tape.gradient(total, layer.value.value), [[1, 2, 3]] * 2)
    layer.value.assign([[4, 5, 6], [7, 8, 9]])
    np.testing.assert_array_equal(tf.function(layer)(tf.zeros(1)), [[4, 5, 6], [7, 8, 9]])


def test_shape() -> None:
    layer = Parameter((2, 3))
    assert layer.compute_output_shape((None, 5)) == (2, 3)
    assert layer.top_shapes() == [(2, 3)]
    assert Parameter.from_config(layer.get_config()).shape == (2, 3)
