"""Unpooling: values go back to where max pooling found them."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_caffe.ops import native
from keras_caffe.ops.indices import checked_indices
from keras_caffe.ops.losses import with_gradient_of
from keras_caffe.ops.stock import native_ops_allowed, on_tensorflow


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
    count = batch * height * width * channels
    zeros = ops.zeros((count,), dtype=x.dtype)
    values = ops.reshape(x, (-1,))
    lite = not native_ops_allowed() and isinstance(batch, int)
    on_gpu = not lite and on_tensorflow() and native.has_gpu()
    if lite or on_gpu:
        # Caffe's last value wins. TensorFlow Lite adds up what goes to one place, a GPU writes in any order.
        to = ops.reshape(flat, (-1,))
        turns = ops.zeros_like(to) + ops.arange(ops.shape(values)[0], dtype="int32")
        last = ops.segment_max(turns, to, count)
        y = ops.where(last >= 0, ops.take(values, ops.maximum(last, 0)), 0)
    else:
        y = ops.scatter_update(zeros, ops.reshape(flat, (-1, 1)), values)
    if on_gpu or keras.backend.backend() == "jax":  # the gradient goes to one of equal indices alone, Caffe's to all
        finite = ops.where(ops.isfinite(values), values, 0)
        y = with_gradient_of(y, ops.scatter(ops.reshape(flat, (-1, 1)), finite, (count,)))
    return ops.reshape(y, (batch, height, width, channels))
