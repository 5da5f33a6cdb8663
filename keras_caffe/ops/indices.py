"""Indices that come as floats in a blob, and entries picked by indices."""

from __future__ import annotations

from math import prod
from typing import Any

import keras
from keras import ops

from keras_caffe.errors import LayerError


def checked_indices(values: Any, size: Any, what: str) -> Any:
    """The values truncated to integers, as Caffe does, once they are known to lie in [0, size).

    Args:
        values: a tensor of any type.
        size: one more than the greatest allowed index; a number or a scalar tensor.
        what: names the indices in the message.

    Raises:
        LayerError: a value is out of range (inside a `tf.function`: tf.errors.InvalidArgumentError).
    """
    indices = ops.cast(values, "int32")
    if keras.backend.backend() != "tensorflow":
        return indices
    import tensorflow as tf

    if tf.executing_eagerly():
        array = ops.convert_to_numpy(indices)
        wrong = array[(array < 0) | (array >= int(size))]
        if wrong.size:
            raise LayerError(f"{what} is out of range", expected=f"0 to {int(size) - 1}", received=wrong.flat[0])
        return indices
    fits = tf.reduce_all((indices >= 0) & (indices < size))
    with tf.control_dependencies([tf.debugging.Assert(fits, [f"{what} is out of range", indices])]):
        return tf.identity(indices)


def places(index: Any, size: Any) -> Any:
    """Where in an array (..., size) the entries of the last axis are that each index names, counted through all axes.

    `ops.take(values, places(index, size))` is `ops.take_along_axis(values, index, -1)` in a fifth of the operations.

    Args:
        index: (..., P), integers from 0 to size - 1; the leading axes are the array's.

    Returns:
        (..., P)
    """
    *leading, count = ops.shape(index)
    starts = ops.arange(prod(leading), dtype=index.dtype)[:, None] * size
    return ops.reshape(ops.reshape(index, (prod(leading), count)) + starts, (*leading, count))
