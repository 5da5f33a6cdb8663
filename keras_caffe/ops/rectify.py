"""Rectifiers that pass NaN on, as Caffe's do (src/caffe/layers/relu_layer.cpp)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_caffe.ops.stock import next_copy, on_tensorflow


def relu(x: Any) -> Any:
    """max(x, 0); NaN stays NaN. The gradient at 0 is 0."""
    return ops.relu(_kept_apart(x))


def relu6(x: Any) -> Any:
    """min(max(x, 0), 6); NaN stays NaN. The gradient at 0 and from 6 on is 0."""
    return ops.relu6(_kept_apart(x))


def chosen_from(x: Any) -> Any:
    """x, for a choice (a maximum, `where`) to choose from; in 8 bits, a copy of its own.

    There, TensorFlow Lite gives a choice and what it chooses from one scale: that of the choice, which would cut x for
    all that read it. A slope of its own, next to 1, keeps a copy from being made one with the copies for others.
    """
    number = next_copy()
    if number is None:
        return x
    import tensorflow as tf

    return tf.nn.leaky_relu(x, 1 - 1e-6 * number)


def rectify_by(x: Any, divisor: float | tuple[float, float], seed: Any) -> Any:
    """x where it is positive, else x / divisor; of two divisors, a number between them is drawn for each value."""
    if isinstance(divisor, tuple):
        low, high = divisor
        divisor = keras.random.uniform(ops.shape(x), low, high, dtype=x.dtype, seed=seed)
    return ops.where(x > 0, chosen_from(x), x / divisor)


def _kept_apart(x: Any) -> Any:
    """The same values, which TensorFlow's graph optimizer does not fuse with the rectifier behind them.

    Fused into a convolution or a product, oneDNN's rectifier turns NaN into 0: a training that diverged would go on.
    """
    if not on_tensorflow():
        return x
    import tensorflow as tf

    rank = x.shape.rank
    return x if tf.executing_eagerly() or rank is None else tf.ensure_shape(x, [None] * rank)
