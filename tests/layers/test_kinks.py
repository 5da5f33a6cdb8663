"""Gradients at the points where a formula has none: Caffe chose one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe import layers


@pytest.mark.parametrize(
    ("layer", "x", "gradient"),
    [
        (layers.AbsVal(), 0.0, 0),
        (layers.ReLU(), 0.0, 0),
        (layers.ReLU(0.25), 0.0, 0.25),
        (layers.ReLU6(), 0.0, 0),
        (layers.ReLU6(), 6.0, 0),
        (layers.ReLU6(0.25), 0.0, 0.25),
        (layers.ReLU6(0.25), 6.0, 0),
        (layers.ReLU6(-2), -4.0, -2),
        (layers.PReLU(), 0.0, 0.25),
        (layers.ELU(0.5), 0.0, 0.5),
        (layers.Clip(-1, 2), -1.0, 1),
        (layers.Clip(-1, 2), 2.0, 1),
        (layers.Clip(-1, 2), 2.5, 0),
        (layers.Clip(2, 1), 1.5, 0),
        (layers.Power(2), 0.0, 0),
        (layers.Power(3), 0.0, 0),
        (layers.Power(0), 0.0, 0),
        (layers.Power(0.5, 0, 4), 9.0, 0),
        (layers.BNLL(), 1000.0, 1),
        (layers.BNLL(), -1000.0, 0),
        (layers.Swish(), 0.0, 0.5),
        (layers.Reduction("ASUM"), 0.0, 0),
        (layers.L2Norm(), 0.0, 1),
        (layers.Threshold(), 0.5, 0),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_gradient(layer: Any, x: float, gradient: float) -> None:
    bottom = tf.constant([[x]])
    with tf.GradientTape() as tape:
        tape.watch(bottom)
        top = layer(bottom)
    got = tape.gradient(top, bottom, unconnected_gradients="zero")
    np.testing.assert_allclose(got, [[gradient]])


def test_values_at_the_ends() -> None:
    x = tf.constant([-200.0, 0.0, 200.0])
    np.testing.assert_allclose(layers.BNLL()(x), [0, np.log(2), 200], rtol=1e-6)
    np.testing.assert_allclose(layers.ELU(2)(x), [-2, 0, 200])
    np.testing.assert_allclose(layers.Power(0)(x * np.inf), [1, 1, 1])
    np.testing.assert_allclose(layers.Clip(2, 1)(x), [2, 2, 2])
    np.testing.assert_allclose(layers.Threshold(0)(x), [0, 0, 1])
    np.testing.assert_allclose(layers.ReLU6(-2)(x), [6, 0, 6])


@pytest.mark.parametrize("arguments", [{"kernel_size": (2, 2)}, {"global_pooling": True}], ids=["windows", "global"])
@pytest.mark.parametrize("with_mask", [False, True])
def test_the_first_of_equal_maxima_gets_the_gradient(arguments: dict[str, Any], with_mask: bool) -> None:
    bottom = tf.constant([[1.0, 3.0], [3.0, 3.0]])[None, :, :, None]
    layer = layers.Pooling("MAX", with_mask=with_mask, **arguments)
    with tf.GradientTape() as tape:
        tape.watch(bottom)
        top = layer(bottom)[0] if with_mask else layer(bottom)
    np.testing.assert_array_equal(tape.gradient(top, bottom)[0, :, :, 0], [[0, 1], [0, 0]])
