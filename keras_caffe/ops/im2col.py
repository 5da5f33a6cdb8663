"""Windows of a tensor as columns (util/im2col.cpp), channels last, any number of spatial axes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.ops.convolution import at_pixels, padded
from keras_caffe.shapes import windows


def im2col(x: Any, kernel: Sequence[int], *, stride: Sequence[int], pad: Sequence[int], dilation: Sequence[int]) -> Any:
    """The values under every tap of a kernel, at every place where a convolution would put it.

    Args:
        x: (N, *spatial, C).
        kernel, stride, pad, dilation: one number per spatial axis; zeros lie outside x.

    Returns:
        (N, *out, C * taps): all taps of the first channel in row-major order, then those of the second.
    """
    x = padded(x, kernel, stride, pad, dilation)
    (batch, *sizes), channels = ops.shape(x)[:-1], x.shape[-1]
    out = [windows(i, d * (k - 1) + 1, s) for i, k, s, d in zip(sizes, kernel, stride, dilation, strict=True)]
    taps = []
    for tap in itertools.product(*map(range, kernel)):
        geometry = zip(tap, dilation, out, stride, strict=True)
        taps.append(at_pixels(x, (slice(t * d, t * d + o * s, s) for t, d, o, s in geometry)))
    return ops.reshape(ops.stack(taps, axis=-1), (batch, *out, channels * len(taps)))
