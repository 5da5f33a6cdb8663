"""Mish: far from 0, where e^x overflows or vanishes."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from keras_caffe.layers import Mish
from tests.layers.cases import SHAPE, Case
from tests.random_nets.parts_simple import simple

CASES = [Case("Mish", Mish(), [SHAPE])]
PARTS = {"Mish": simple("Mish")}

X = np.array([-80.0, -30.0, -10.0, 0.0, 10.0, 30.0, 100.0])


def test_values_and_gradients_far_from_0() -> None:
    x = tf.constant(X, "float32")
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = Mish()(x)
    gate = np.tanh(np.log1p(np.exp(X)))
    np.testing.assert_allclose(y, X * gate, rtol=1e-6, atol=0)
    slope = gate + X * (1 - gate**2) / (1 + np.exp(-X))
    np.testing.assert_allclose(tf.convert_to_tensor(tape.gradient(y, x)), slope, rtol=1e-5, atol=0)
