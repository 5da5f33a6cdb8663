"""Affine maps per channel, in one pass over memory where TensorFlow has a kernel for them."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_caffe.ops.stock import on_tensorflow

ORIGIN = "_keras_caffe_origin"
"""Attribute of a tensor that `normalize` makes in a graph: what it is made of."""


def normalize(
    x: Any, mean: Any, variance: Any, eps: float, scale: Any = None, shift: Any = None, *, constant: bool = False
) -> Any:
    """(x - mean) / sqrt(variance + eps) scale + shift along the last axis.

    Args:
        x: (N, ..., C).
        mean, variance: (C,), or scalars.
        eps: added to the variance.
        scale, shift: (C,); none: 1 and 0.
        constant: no gradient is to flow into mean and variance.
    """
    if constant and _has_kernel(x):
        y = _kernel(x, _or(scale, 1, x), _or(shift, 0, x), mean, variance, eps)
        if scale is None and not _eager():
            setattr(y, ORIGIN, (x, mean, variance, eps))
        return y
    factor = ops.rsqrt(variance + eps)
    if scale is None:
        return (x - mean) * factor
    return (x - mean) * (factor * scale) + shift


def scale_and_shift(x: Any, scale: Any, shift: Any) -> Any:
    """x scale + shift along the last axis; in a graph, of what `normalize` has just made, one operation with it.

    Args:
        x: (N, ..., C).
        scale, shift: (C,).
    """
    if _has_kernel(x):
        origin = getattr(x, ORIGIN, (x, _or(None, 0, x), _or(None, 1, x), 0.0))
        return _kernel(origin[0], scale, shift, *origin[1:])
    return x * scale + shift


def tanh(x: Any) -> Any:
    """tanh(x), as -tanh(-x) behind a normalisation.

    TensorFlow's graph optimiser would make one operation of a convolution, its normalisation and a tanh, for which its
    CPU has no kernel.
    """
    made_by = getattr(getattr(x, "op", None), "type", "")
    return -ops.tanh(-x) if made_by == "FusedBatchNormV3" else ops.tanh(x)


def _or(values: Any, value: float, x: Any) -> Any:
    return ops.full(x.shape[-1:], value, "float32") if values is None else ops.convert_to_tensor(values)


def _has_kernel(x: Any) -> bool:
    return on_tensorflow() and len(x.shape) == 4 and x.dtype == "float32"


def _eager() -> bool:
    import tensorflow as tf

    return tf.executing_eagerly()


def _kernel(x: Any, scale: Any, shift: Any, mean: Any, variance: Any, eps: float) -> Any:
    import tensorflow as tf

    return tf.raw_ops.FusedBatchNormV3(
        x=x, scale=scale, offset=shift, mean=mean, variance=variance, epsilon=eps, is_training=False
    ).y
