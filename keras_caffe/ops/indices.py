"""Indices and labels that come as floats in a blob, and entries picked by them."""

from __future__ import annotations

from math import prod
from typing import Any

from keras import ops

from keras_caffe.ops.refusals import refused
from keras_caffe.ops.stock import on_tensorflow


def leading(x: Any, count: Any) -> Any:
    """The first entries along the first axis; symbolic tensors take their index as a tuple only."""
    return x[(slice(count),)]


def true_places(row: Any) -> Any:
    """(K,) int32: where in a row of values they are true.

    Keras's `nonzero` gives (1, N) in place of one tensor an axis when a saved model runs on PyTorch or OpenVINO, and
    TensorFlow Lite cannot take it apart.
    """
    if not on_tensorflow():
        return ops.cast(ops.reshape(ops.nonzero(row)[0], (-1,)), "int32")
    import tensorflow as tf

    return tf.cast(tf.where(row)[:, 0], tf.int32)


def first_greatest(x: Any, axis: int, keepdims: bool = False) -> Any:
    """Index of the greatest value along an axis, int32; the first of equal ones, as which Caffe has 0 and -0, too.

    Keras's `argmax` has 0 above -0, by operations that TensorFlow Lite and OpenVINO do not know.
    """
    if not on_tensorflow():
        return ops.argmax(x, axis=axis, keepdims=keepdims)
    import tensorflow as tf

    index = tf.argmax(x, axis, tf.int32)
    return tf.expand_dims(index, axis) if keepdims else index


def clipped(index: Any, last: Any) -> Any:
    """Whole numbers, those below 0 moved to 0 and those above `last` to it.

    Of `ops.clip` TensorFlow Lite makes a rectifier where `last` is 6, and has none for whole numbers.
    """
    return ops.minimum(ops.maximum(index, 0), last)


def checked_indices(values: Any, size: Any, what: str, *, bottom: int) -> Any:
    """The values truncated to integers, as Caffe does, once they are known to lie in [0, size).

    Args:
        values: a tensor of any type.
        size: one more than the greatest allowed index; a number or a scalar tensor.
        what: names an index in the message.
        bottom: which of the layer's bottoms holds them.

    Raises:
        LayerError: a value is out of range (inside a `tf.function`: tf.errors.InvalidArgumentError).
    """
    indices = ops.cast(values, "int32")
    wrong = (indices < 0) | (indices >= size)
    fields = {"problem": f"{what}{{}} is out of range", "bottom": bottom, "expected": "0 to {}"}
    return refused(wrong, indices, size, fields, always=True)


def checked_labels(
    labels: Any, classes: int | None, ignore_label: int | None = None, *, bottom: int = 1, counted: Any = True
) -> Any:
    """The integer labels, those out of range refused where that can be seen: in eager mode and under
    `refusals_raised` or `refusals_collected`. Else they pass: a loss is NaN then.

    Args:
        labels: integers.
        classes: their number; None if it is not known.
        ignore_label: a value that is allowed, too.
        bottom: which of the layer's bottoms holds them.
        counted: which of them are looked at.

    Raises:
        LayerError: a label is none of the classes and not `ignore_label`.
    """
    if classes is None:
        return labels
    wrong = ((labels < 0) | (labels >= classes)) & counted
    wrong = wrong if ignore_label is None else wrong & ops.not_equal(labels, ignore_label)
    fix = "Fix the labels, or state the value that marks unlabelled places as ignore_label."
    fields = {"problem": "a label{} is out of range", "bottom": bottom, "expected": "whole numbers from 0 to {}"}
    return refused(wrong, labels, classes, {**fields, "fix": fix})


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
