"""Softmax in which NaN is not lost."""

from __future__ import annotations

from functools import cache
from typing import Any

from keras import ops

from keras_caffe.ops.stock import native_ops_allowed, on_tensorflow


def softmax(x: Any, axis: int = -1) -> Any:
    """exp(x) / sum of exp(x) along one axis; NaN all along it where one number is NaN or the greatest is infinite."""
    y = ops.softmax(x, axis=axis)
    if 0 in x.shape or not on_tensorflow() or not native_ops_allowed() or _keeps_nan():
        return y
    unknown = ops.any(ops.isnan(x), axis=axis, keepdims=True)
    lost = ops.logical_or(unknown, ops.isinf(ops.max(x, axis=axis, keepdims=True)))
    return ops.where(lost, ops.cast(float("nan"), y.dtype), y)


@cache
def _keeps_nan() -> bool:
    """Whether TensorFlow's kernel does so itself: oneDNN's gives 0 beside a NaN."""
    import tensorflow as tf

    with tf.init_scope():
        return bool(tf.reduce_all(tf.math.is_nan(tf.nn.softmax([[float("nan"), 1.0, 2.0]]))))
