"""Bilinear interpolation whose corners fall on the corners of the input (PSPNet: src/caffe/util/interp.cpp)."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_caffe.ops.stock import on_tensorflow


def interp(x: Any, height: Any, width: Any) -> Any:
    """Resizes images; along an axis output i of o lies at i (n - 1) / (o - 1) of the n inputs, at 0 if o = 1.

    Args:
        x: (N, H, W, C).
        height, width: of the output, numbers or scalar tensors.

    Returns:
        (N, height, width, C)
    """
    if not on_tensorflow() or x.shape[-1] == 0:
        return interp_twin(x, height, width)
    import tensorflow as tf

    y = tf.raw_ops.ResizeBilinear(images=x, size=tf.stack([height, width]), align_corners=True)
    static = [size if isinstance(size, int) else None for size in (height, width)]
    return tf.cast(tf.ensure_shape(y, (x.shape[0], *static, x.shape[3])), x.dtype)


def interp_twin(x: Any, height: Any, width: Any) -> Any:
    """The same in keras.ops: first along the height, then along the width."""
    return _along(_along(x, 1, height), 2, width)


def centre_crop(x: Any, height: int, width: int) -> Any:
    """The middle of images; half pixels are interpolated, and no place lies beyond size - 1.05, as in FlowNet2.

    Args:
        x: (N, H, W, C).

    Returns:
        (N, height, width, C)
    """
    for axis, out in ((1, height), (2, width)):
        size = ops.cast(ops.shape(x)[axis], "float32")
        place = ops.cast(ops.arange(out), "float32") - out / 2 + size / 2
        x = _at(x, axis, ops.clip(place, 0.0, ops.maximum(size - 1.05, 0.0)))
    return x


def _along(x: Any, axis: int, out: Any) -> Any:
    step = ops.cast(ops.shape(x)[axis] - 1, "float32") / ops.cast(ops.maximum(out - 1, 1), "float32")
    return _at(x, axis, ops.cast(ops.arange(out), "float32") * step)


def _at(x: Any, axis: int, place: Any) -> Any:
    """The values at places between pixels along an axis, not beyond the last one."""
    size = ops.shape(x)[axis]
    low = ops.minimum(ops.cast(place, "int32"), size - 1)
    shape = [1] * len(x.shape)
    shape[axis] = -1
    share = ops.reshape(ops.cast(place - ops.cast(low, "float32"), x.dtype), shape)
    first, second = ops.take(x, low, axis=axis), ops.take(x, ops.minimum(low + 1, size - 1), axis=axis)
    return first * (1 - share) + second * share
