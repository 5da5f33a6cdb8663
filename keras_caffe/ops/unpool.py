"""Unpooling: values go back to where max pooling found them."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_caffe.ops.indices import checked_indices


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
    y = ops.scatter_update(zeros, ops.reshape(flat, (-1, 1)), ops.reshape(x, (-1,)))
    return ops.reshape(y, (batch, height, width, channels))
