"""Sampling at places that are moved by learned offsets, as deformable convolutions do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

Ints = Sequence[int]


def deformed_columns(
    x: Any, offsets: Any, *, kernel: Ints, stride: Ints, pad: Ints, dilation: Ints, groups: int
) -> Any:
    """What each tap of a kernel sees at each output: bilinear samples, 0 outside x.

    Args:
        x: (N, H, W, C); group g of the channels has offsets of its own.
        offsets: (N, out_h, out_w, groups * taps * 2): down and right, in pixels.
        kernel: (high, wide).

    Returns:
        (N, out_h, out_w, taps, C)
    """
    batch, high, wide = ops.shape(x)[:3]
    rows, columns = ops.shape(offsets)[1:3]
    taps, channels = kernel[0] * kernel[1], x.shape[-1]
    offsets = ops.reshape(offsets, (batch, rows, columns, groups, taps, 2))
    tap = ops.arange(taps, dtype=x.dtype)
    down, across = ops.floor_divide(tap, kernel[1]), ops.mod(tap, kernel[1])
    y = _starts(rows, stride[0], pad[0], x)[:, None, None, None] + down * dilation[0] + offsets[..., 0]
    right = _starts(columns, stride[1], pad[1], x)[:, None, None] + across * dilation[1] + offsets[..., 1]
    inside = (y >= 0) & (y < ops.cast(high, x.dtype)) & (right >= 0) & (right < ops.cast(wide, x.dtype))
    image = ops.arange(batch, dtype="int32")[:, None, None, None, None]
    group = ops.arange(groups, dtype="int32")[:, None]
    table = ops.reshape(x, (batch * high * wide * groups, channels // groups))
    total: Any = 0.0
    for h, share_h in _neighbours(y, high):
        for w, share_w in _neighbours(right, wide):
            place = ((image * high + h) * wide + w) * groups + group
            share = ops.where(inside, share_h * share_w, 0.0)
            total = total + share[..., None] * ops.take(table, place, axis=0)
    return ops.reshape(ops.transpose(total, (0, 1, 2, 4, 3, 5)), (batch, rows, columns, taps, channels))


def _starts(count: Any, stride: int, pad: int, x: Any) -> Any:
    return ops.arange(count, dtype=x.dtype) * stride - pad


def _neighbours(at: Any, size: Any) -> list[tuple[Any, Any]]:
    """The two whole places around each place, and what each counts; from the last one on that one alone."""
    last = ops.cast(size - 1, at.dtype)
    first = ops.clip(ops.floor(ops.stop_gradient(at)), 0, last)
    share = ops.where(first < last, at - first, 0.0)
    places = first, ops.minimum(first + 1, last)
    return [(ops.cast(p, "int32"), s) for p, s in zip(places, (1 - share, share), strict=True)]
