"""Lstm of the older forks: streams on one axis, cut gradients, what it refuses; its arrays are in test_goldens."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe import layers, load
from keras_caffe.errors import ShapeError
from tests.layers.cases import Case
from tests.nets import input_layer, layer

FILL = {"type": "uniform", "min": -1.0, "max": 1.0}
CASES = [
    Case(
        "Lstm",
        layers.Lstm(3, 0.5, weight_filler={"value": 0.1}),
        [(4, 2, 5)],
        refused=[
            ({"num_output": 0}, "num_output"),
            ({"clipping_threshold": "a"}, "clipping_threshold"),
            ({"batch_size": 0}, "batch_size"),
            ({"weight_filler": "none"}, "unknown filler type of weight_filler"),
            ({"bias_filler": "none"}, "unknown filler type of bias_filler"),
        ],
    ),
]


def test_streams_on_one_axis_give_the_same() -> None:
    x = np.random.default_rng(0).normal(size=(4, 2, 5)).astype("float32")
    apart, joined = layers.Lstm(3, weight_filler=FILL), layers.Lstm(3, batch_size=2, weight_filler=FILL)
    want = apart(x)
    joined.build((8, 5))
    joined.set_weights(apart.get_weights())
    np.testing.assert_allclose(np.reshape(joined(x.reshape(8, 5)), want.shape), want, rtol=1e-6)


def test_junhyukohs_file_is_read_so() -> None:
    text = input_layer("x", 8, 5) + input_layer("clip", 8, 1)
    text += layer("lstm", "Lstm", "x clip", "y", "lstm_param { num_output: 3 batch_size: 2 }")
    assert load(text).caffe_layers["lstm"].batch_size == 2
    assert load(text.replace("batch_size: 2", "")).caffe_layers["lstm"].batch_size == 1


def test_gradients_are_cut() -> None:
    x = tf.constant(np.random.default_rng(0).normal(size=(1, 2, 5)), tf.float32)
    lstm = layers.Lstm(3, 1e-3, weight_filler=FILL)
    with tf.GradientTape() as tape:
        total = 1e3 * tf.reduce_sum(lstm(x))
    gradient = tape.gradient(total, lstm.b)
    assert 0 < np.abs(gradient).max() <= 2e-3 + 1e-9  # of two streams


def test_a_batch_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ShapeError, match="batch_size 3 does not divide the steps"):
        layers.Lstm(3, batch_size=3)(np.zeros((8, 5), "float32"))
