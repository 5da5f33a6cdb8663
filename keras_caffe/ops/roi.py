"""Pooling of regions of interest (ROIs), channels last. An ROI is [image in batch, x1, y1, x2, y2] in input pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_caffe.ops.indices import checked_indices, clipped
from keras_caffe.ops.stock import on_tensorflow
from keras_caffe.ops.windows import first_maximum
from keras_caffe.shapes import ceil_div

FLT_MAX = float(np.finfo("float32").max)


class Bins(NamedTuple):
    """(R, P) first and one-past-last positions of the bins of every ROI along one axis, cut to the input."""

    start: Any
    end: Any


def round_away(x: Any) -> Any:
    """C's round: halves go away from zero."""
    whole = ops.floor(ops.abs(x))
    # Not floor(|x| + 0.5): the sum can round up to the next whole number.
    return ops.sign(x) * (whole + ops.cast(ops.abs(x) - whole >= 0.5, x.dtype))


def _whole_bins(start: Any, extent: Any, count: int, size: Any) -> Bins:
    """Bins [floor(p extent / count), ceil((p + 1) extent / count)) + start, of whole numbers."""
    p = ops.arange(count, dtype="int32")[None, :]
    edges = p * extent // count, ceil_div((p + 1) * extent, count)
    return Bins(*(clipped(edge + start, size) for edge in edges))


def _bins(start: Any, step: Any, count: int, size: Any) -> Bins:
    """Bins [floor(p step + start), ceil((p + 1) step + start)), in the order of roundings that Caffe has."""
    p = ops.arange(count, dtype="float32")[None, :]
    edges = ops.floor(p * step + start), ops.ceil((p + 1) * step + start)
    return Bins(*(ops.cast(ops.clip(edge, 0, ops.cast(size, "float32")), "int32") for edge in edges))


def divided(x: Any, count: int) -> Any:
    """x / count, rounded once. Of a constant count TensorFlow's graphs would make a product with 1 / count."""
    return x / (ops.maximum(x - FLT_MAX, count) if on_tensorflow() else count)


def roi_max_pool(x: Any, rois: Any, pooled: Sequence[int], scale: float) -> Any:
    """Largest value in each bin of each ROI, whose corners are rounded to pixels; 0 in an empty bin.

    Args:
        x: (N, H, W, C).
        rois: (R, 5).
        pooled: number of bins (high, wide).
        scale: from the ROIs' pixels to those of x.

    Returns:
        (R, P_h, P_w, C); the gradient goes to the first maximum in row-major order.
    """
    corner = ops.cast(round_away(ops.cast(rois[:, 1:], "float32") * scale), "int32")
    sizes = ops.maximum(corner[:, 2:] - corner[:, :2] + 1, 1)
    columns, rows = (
        _whole_bins(corner[:, a : a + 1], sizes[:, a : a + 1], n, ops.shape(x)[2 - a])
        for a, n in enumerate((pooled[1], pooled[0]))
    )
    index = first_maximum(ops.stop_gradient(x), images_of(rois, ops.shape(x)[0]), rows, columns)
    channels = x.shape[-1]
    flat = ops.maximum(index, 0) * channels + ops.arange(channels, dtype="int32")
    return ops.where(index >= 0, ops.take(ops.reshape(x, (-1,)), flat), ops.zeros((), x.dtype))


def psroi_average_pool(x: Any, rois: Any, group: int, scale: float) -> Any:
    """Position-sensitive mean: bin (i, j) of output d reads channel (d group + i) group + j of x; 0 in an empty bin.

    Args:
        x: (N, H, W, D group^2).
        rois, scale: as for `roi_max_pool`.
        group: number of bins per axis.

    Returns:
        (R, group, group, D)
    """
    corner = round_away(ops.cast(rois[:, 1:], "float32"))
    first, last = corner[:, :2] * scale, (corner[:, 2:] + 1) * scale
    step = divided(ops.maximum(last - first, 0.1), group)
    columns, rows = (
        _mean_weights(_bins(first[:, a : a + 1], step[:, a : a + 1], group, ops.shape(x)[2 - a]), ops.shape(x)[2 - a])
        for a in (0, 1)
    )
    (images, high, wide), channels = ops.shape(x)[:3], x.shape[-1]
    x = ops.reshape(x, (images * high, wide, channels // group**2, group, group))
    rows = ops.cast(in_image(rows, rois, images), x.dtype)
    return ops.einsum("rpm,mwdpq,rqw->rpqd", rows, x, ops.cast(columns, x.dtype))


def roi_align(x: Any, rois: Any, pooled: Sequence[int], scale: float, sampling_ratio: int = -1) -> Any:
    """Mean of bilinear samples in each bin of each ROI; nothing is rounded (Detectron's definition).

    Samples beyond one pixel outside x count as 0, the others are moved to the border. An ROI is at least 1 pixel wide.

    Args:
        x, rois, pooled, scale: as for `roi_max_pool`.
        sampling_ratio: samples per bin and axis; below 1: ceil(size of the ROI / number of bins).

    Returns:
        (R, P_h, P_w, C)
    """
    corner = ops.cast(rois[:, 1:], "float32") * scale
    sizes = ops.maximum(corner[:, 2:] - corner[:, :2], 1.0)
    columns, rows = (
        _sample_weights(corner[:, a : a + 1], sizes[:, a : a + 1], n, ops.shape(x)[2 - a], sampling_ratio)
        for a, n in enumerate((pooled[1], pooled[0]))
    )
    images, high, wide = ops.shape(x)[:3]
    rows = ops.cast(in_image(rows, rois, images), x.dtype)
    y = ops.einsum("rpm,mwc->rpwc", rows, ops.reshape(x, (images * high, wide, x.shape[-1])))
    return ops.einsum("rpwc,rqw->rpqc", y, ops.cast(columns, x.dtype))


def _mean_weights(bins: Bins, size: Any) -> Any:
    """(R, P, size): 1 / length at the positions in the bin."""
    positions = ops.arange(size, dtype="int32")
    inside = (positions >= bins.start[..., None]) & (positions < bins.end[..., None])
    length = ops.maximum(bins.end - bins.start, 1)
    return ops.cast(inside, "float32") / ops.cast(length, "float32")[..., None]


def _sample_weights(start: Any, extent: Any, count: int, size: Any, ratio: int) -> Any:
    """(R, P, size): how much each position counts in the mean of a bin's samples."""
    step = divided(extent, count)
    samples = ops.full_like(step, ratio) if ratio > 0 else ops.ceil(step)
    most = ratio if ratio > 0 else ops.cast(ops.max(ops.concatenate([samples[:, 0], ops.ones((1,))])), "int32")
    p = ops.arange(count, dtype="float32")[None, :, None]
    s = ops.cast(ops.arange(most), "float32")[None, None, :]
    at = start[..., None] + p * step[..., None] + (s + 0.5) * (step / samples)[..., None]
    edge = ops.cast(size, "float32")
    counts = ops.cast((at >= -1) & (at <= edge) & (s < samples[..., None]), "float32")[..., None]
    at = ops.clip(at, 0.0, edge - 1)[..., None]
    hat = ops.maximum(0.0, 1 - ops.abs(at - ops.arange(size, dtype="float32")))
    return ops.sum(hat * counts, axis=2) / samples[..., None]


def images_of(rois: Any, count: Any) -> Any:
    """(R,) the index of each ROI's image; refuses those that are not below `count`."""
    return checked_indices(rois[:, 0], count, "the image index of a region", bottom=1)


def in_image(weights: Any, rois: Any, images: Any) -> Any:
    """(R, P, H) -> (R, P, N H): the weights stand at the rows of the ROI's own image."""
    own = ops.equal(images_of(rois, images)[:, None], ops.arange(images, dtype="int32"))
    spread = weights[:, :, None, :] * ops.cast(own, weights.dtype)[:, None, :, None]
    return ops.reshape(spread, (-1, weights.shape[1], images * ops.shape(weights)[2]))
