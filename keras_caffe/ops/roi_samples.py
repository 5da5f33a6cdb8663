"""Pooling of regions of interest (ROIs) by bilinear samples, as cascades and deformable networks define it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_caffe.ops.roi import divided, images_of, in_image, round_away
from keras_caffe.ops.stock import custom_gradient


class Line(NamedTuple):
    """The samples of every ROI along one axis, in pixels of a map of `size`; (R, P), or (R, P, size) where it says so.

    Args:
        at: where they are read, moved to the border.
        weights: (R, P, size) how much each pixel counts in them; 0 for samples more than half a pixel outside.
        counted: (R, P, size) those weights that the gradient uses, too.
        slope: (R, P, size) the change of the weights for one pixel; 0 where one of both pixels is missing.
        share: how far the sample is from the first corner to the last, as the gradient of the corners counts it.
    """

    at: Any
    weights: Any
    counted: Any
    slope: Any
    share: Any


def _line(first: Any, last: Any, bins: int, size: Any) -> Line:
    p, positions = ops.arange(bins, dtype="float32")[None, :], ops.arange(size, dtype="float32")
    at = first + p * divided(ops.maximum(last - first, 0.0), bins)
    edge = ops.cast(size, "float32")
    inside = ops.cast((at >= -0.5) & (at <= edge - 0.5), "float32")[..., None]
    at = ops.clip(at, 0.0, edge - 1)
    weights = inside * ops.maximum(0.0, 1 - ops.abs(at[..., None] - positions))
    # The gradient takes a region one pixel wider than the values do: a few samples miss a pixel that they were read of.
    step = divided(ops.maximum(last - first + 1, 1.0), bins)
    offset = positions - first
    begin, end = ops.floor((offset - 1) / step - 1)[:, None], ops.ceil((offset + 1) / step)[:, None]
    covered = (positions >= first) & (positions <= last)
    counted = covered[:, None] & (p[..., None] >= begin) & (p[..., None] < end)
    low = ops.floor(at)[..., None]
    both = inside * ops.cast(low + 1 <= edge - 1, "float32")
    slope = both * (ops.cast(positions == low + 1, "float32") - ops.cast(positions == low, "float32"))
    return Line(at, weights, weights * ops.cast(counted, "float32"), slope, (at - first) / step / bins)


def roi_warp(x: Any, rois: Any, pooled: tuple[int, int], scale: float) -> Any:
    """One bilinear sample for each bin of each ROI, at the bin's first corner; 0 more than half a pixel outside x.

    Args:
        x: (N, H, W, C).
        rois: (R, 5) of [image, x1, y1, x2, y2]; their corners get a gradient, too.
        pooled: number of bins (high, wide).
        scale: from the ROIs' pixels to those of x.

    Returns:
        (R, P_h, P_w, C)
    """

    @custom_gradient
    def warp(x: Any, rois: Any) -> Any:
        corner = round_away(ops.cast(rois[:, 1:], "float32") * scale)
        sizes, bins = ops.shape(x)[2:0:-1], (pooled[1], pooled[0])
        lines = [_line(corner[:, a : a + 1], corner[:, a + 2 : a + 3], bins[a], sizes[a]) for a in (0, 1)]

        def gradient(*args: Any, upstream: Any = None) -> Any:
            g = args[0] if upstream is None else upstream
            return _to_map(g, x, rois, lines), ops.cast(scale * _to_corners(g, x, rois, lines), rois.dtype)

        return _products(x, rois, lines[1].weights, lines[0].weights), gradient

    return warp(x, rois)


def _products(x: Any, rois: Any, rows: Any, columns: Any) -> Any:
    """(R, P_h, P_w, C): of the weights of each ROI's rows and columns with its image."""
    (images, high, wide), channels = ops.shape(x)[:3], x.shape[-1]
    rows = ops.cast(in_image(rows, rois, images), x.dtype)
    flat = ops.einsum("rpm,mwc->rpwc", rows, ops.reshape(x, (images * high, wide, channels)))
    return ops.einsum("rpwc,rqw->rpqc", flat, ops.cast(columns, x.dtype))


def _to_map(g: Any, x: Any, rois: Any, lines: Sequence[Line]) -> Any:
    rows = ops.cast(in_image(lines[1].counted, rois, ops.shape(x)[0]), x.dtype)
    back = ops.einsum("rpqc,rqw->rpwc", g, ops.cast(lines[0].counted, x.dtype))
    return ops.reshape(ops.einsum("rpm,rpwc->mwc", rows, back), ops.shape(x))


def _to_corners(g: Any, x: Any, rois: Any, lines: Sequence[Line]) -> Any:
    """(R, 5): each sample moves with the corners, by what `share` says, where it has four pixels around it."""
    complete = [ops.cast(ops.any(line.slope > 0, axis=-1), g.dtype) for line in lines]
    use = g * complete[1][:, :, None, None] * complete[0][:, None, :, None]
    across = ops.sum(use * _products(x, rois, lines[1].weights, lines[0].slope), axis=(1, 3))
    down = ops.sum(use * _products(x, rois, lines[1].slope, lines[0].weights), axis=(2, 3))
    slopes = across, down
    shares = [ops.cast(line.share, g.dtype) for line in lines]
    first = [ops.sum(slope * (1 - share), axis=-1) for slope, share in zip(slopes, shares, strict=True)]
    last = [ops.sum(slope * share, axis=-1) for slope, share in zip(slopes, shares, strict=True)]
    return ops.stack([ops.zeros_like(first[0]), *first, *last], axis=-1)


def deformed_psroi_pool(
    x: Any, rois: Any, moves: Any, *, group: int, samples: int, parts: int, spread: float, scale: float
) -> Any:
    """Position-sensitive mean of samples x samples bilinear samples in each bin; 0 in a bin without any in x.

    Samples stand at the first corners of equal parts of a bin, and do not count more than half a pixel outside x.

    Args:
        x: (N, H, W, D group^2): bin (i, j) of output d reads channel (d group + i) group + j.
        rois: (R, 5).
        moves: (R, 2 K, parts, parts), or None: right and down for each of K equal parts of the outputs, in sizes of the
            ROI times `spread`.
        group: number of bins per axis.
        scale: from the ROIs' pixels to those of x.

    Returns:
        (R, group, group, D)
    """
    corner = round_away(ops.cast(rois[:, 1:], "float32"))
    first, last = corner[:, :2] * scale - 0.5, (corner[:, 2:] + 1) * scale - 0.5
    extent = ops.maximum(last - first, 0.1)
    step = divided(extent, group)
    across, down = (_starts(moves, axis, extent, group, parts, spread) for axis in (0, 1))
    bins = ops.arange(group, dtype="float32")
    across = across + (bins * step[:, 0:1] + first[:, 0:1])[:, None, None, :]
    down = down + (bins * step[:, 1:2] + first[:, 1:2])[:, None, :, None]
    within = ops.arange(samples, dtype="float32") * divided(step, samples)[..., None]
    (batch, high, wide), channels = ops.shape(x)[:3], x.shape[-1]
    image = images_of(rois, batch)
    columns, in_columns = _between(across[..., None] + within[:, 0][:, None, None, None], wide)
    rows, in_rows = _between(down[..., None] + within[:, 1][:, None, None, None], high)
    kinds = across.shape[1]
    channel = ops.reshape(ops.arange(channels, dtype="int32"), (kinds, -1, group, group, 1, 1))
    total: Any = 0.0
    for y, share_y in rows:
        for at, share_x in columns:
            pixel = (ops.reshape(image, (-1, 1, 1, 1, 1, 1)) * high + y[..., :, None]) * wide + at[..., None, :]
            value = ops.take(ops.reshape(x, (-1,)), pixel[:, :, None] * channels + channel)
            share = (in_rows * share_y)[..., :, None] * (in_columns * share_x)[..., None, :]
            total = total + value * ops.cast(share, x.dtype)[:, :, None]
    count = ops.sum(in_rows, axis=-1) * ops.sum(in_columns, axis=-1)
    mean = ops.sum(total, axis=(-2, -1)) / ops.cast(ops.maximum(count, 1.0), x.dtype)[:, :, None]
    return ops.transpose(ops.reshape(mean, (-1, channels // group**2, group, group)), (0, 2, 3, 1))


def _starts(moves: Any, axis: int, extent: Any, group: int, parts: int, spread: float) -> Any:
    """(R, K, group, group): how far each bin is moved along an axis (0: x)."""
    if moves is None:
        return ops.zeros_like(extent[:, axis])[:, None, None, None] + ops.zeros((group, group))
    part = np.floor(np.arange(group, dtype="float32") / np.float32(group) * np.float32(parts)).astype("int32")
    ours = ops.cast(moves, "float32")[:, axis::2]
    return ops.take(ops.take(ours, part, axis=2), part, axis=3) * spread * extent[:, axis, None, None, None]


def _between(at: Any, size: Any) -> tuple[list[tuple[Any, Any]], Any]:
    """The two pixels around each place and their shares, one pixel twice where it lies on it; whether it counts."""
    edge = ops.cast(size, "float32")
    inside = ops.cast((at >= -0.5) & (at <= edge - 0.5), "float32")
    at = ops.clip(at, 0.0, edge - 1)
    still = ops.stop_gradient(at)
    low = ops.floor(still)
    places = ops.cast(low, "int32"), ops.cast(ops.ceil(still), "int32")
    return list(zip(places, (1 - (at - low), at - low), strict=True)), inside
