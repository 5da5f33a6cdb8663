"""Unpooling: values go back to where max pooling found them."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_caffe.ops.indices import checked_indices
from keras_caffe.ops.losses import with_gradient_of
from keras_caffe.ops.stock import native_ops_allowed


def unpool(x: Any, mask: Any, height: Any, width: Any) -> Any:
    """y[n, h, w, c] = the x[n, ., ., c] whose mask is h width + w, 0 where there is none.

    Args:
        x: (N, H, W, C).
        mask: indices into the planes of the output, of x's shape.
        height, width: of the output.

    Returns:
        (N, height, width, C)

    Raises:
        LayerError: the mask points outside the output.
    """
    batch, _, _, channels = ops.shape(x)
    place = checked_indices(mask, height * width, "the mask of Upsample", bottom=1)
    image = ops.reshape(ops.arange(batch, dtype="int32"), (-1, 1, 1, 1))
    flat = (image * (height * width) + place) * channels + ops.arange(channels, dtype="int32")
    zeros = ops.zeros((batch * height * width * channels,), dtype=x.dtype)
    values = ops.reshape(x, (-1,))
    if not native_ops_allowed() and isinstance(batch, int):
        # TensorFlow Lite adds up what goes to one place; Caffe's last value wins.
        to = ops.reshape(flat, (-1,))
        last = ops.segment_max(ops.zeros_like(to) + ops.arange(values.shape[0], dtype="int32"), to, zeros.shape[0])
        y = ops.where(last >= 0, ops.take(values, ops.maximum(last, 0)), 0)
        return ops.reshape(y, (batch, height, width, channels))
    y = ops.scatter_update(zeros, ops.reshape(flat, (-1, 1)), values)
    if keras.backend.backend() == "jax":  # its gradient goes to one of two equal indices alone, Caffe's to both
        finite = ops.where(ops.isfinite(values), values, 0)
        y = with_gradient_of(y, ops.scatter(ops.reshape(flat, (-1, 1)), finite, zeros.shape))
    return ops.reshape(y, (batch, height, width, channels))
