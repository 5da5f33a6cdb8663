"""Sliding windows: pooling and local response normalisation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from keras_caffe import layers
from keras_caffe.onnx.graph import Tensor
from keras_caffe.onnx.losses import number
from keras_caffe.onnx.registry import writes
from keras_caffe.onnx.site import Site
from keras_caffe.ops.pool_axis import Axis
from keras_caffe.ops.pooling import FLT_MAX
from keras_caffe.shapes import known

Pads = list[tuple[int, int]]
BLANK = float(np.nextafter(np.float32(-FLT_MAX), np.float32(0)))
"""Where a window has no input: OpenCV 5 finds no maximum among values of -FLT_MAX."""


def windows_pads(axes: Sequence[Axis], sizes: Sequence[int | None]) -> Pads:
    """For each axis the pads with which ONNX, rounding down, lays the windows that Caffe lays."""
    return [(axis.pad, _after(axis, size)) for axis, size in zip(axes, sizes, strict=True)]


def _after(axis: Axis, size: int | None) -> int:
    if size is not None:
        return max(0, axis.overhang(size))
    # ceil((i + 2p - k) / s) is floor((i + 2p - k + s - 1) / s); a pad below k keeps what starts before i + p.
    widest = axis.pad + (axis.stride - 1 if axis.ceil else 0)
    return min(widest, axis.kernel - 1) if axis.clip else widest


@writes(layers.Pooling, precise=lambda layer: layer.with_mask)
def pooling(site: Site, x: Tensor) -> Tensor | Sequence[Tensor]:
    layer = site.layer
    if layer.pool == "STOCHASTIC":
        return stochastic_pool(site, x, pool_axes(site), site.bottoms[0][2:])
    if layer.global_pooling:
        top = site.op("GlobalMaxPool" if layer.pool == "MAX" else "GlobalAveragePool", x)
        return (top, _global_mask(site, x)) if layer.with_mask else top
    axes = pool_axes(site)
    if layer.with_mask:
        return _max_with_mask(site, x, axes)
    return (max_pool if layer.pool == "MAX" else average_pool)(site, x, axes, site.bottoms[0][2:])


def pool_axes(site: Site) -> list[Axis]:
    """Height and width."""
    layer = site.layer
    if layer.global_pooling:
        return [Axis(size, 1, 0) for size in site.known(site.bottoms[0][2:], "the size of the images")]
    geometry = zip(layer.kernel_size, layer.stride, layer.pad, strict=True)
    return [Axis(*sizes, layer.round_mode == "CEIL", any(layer.pad)) for sizes in geometry]


def max_pool(site: Site, x: Tensor, axes: Sequence[Axis], sizes: Sequence[int | None]) -> Tensor:
    framed = _framed(site, x, axes, sizes)
    top = site.op("MaxPool", framed.x, **_geometry(axes, framed.pads))
    if framed.blank:
        return site.where(site.op("Greater", top, BLANK), top, -FLT_MAX)
    return site.pad(top, [(0, 0), (0, 0), *framed.empty], -FLT_MAX)


class Framed(NamedTuple):
    """What is pooled so that every window has input, as engines need it.

    Args:
        x: the bottom, or with pixels of BLANK around it.
        frame: for each axis how many of these are before and behind.
        pads: what the pooling itself adds.
        empty: for each axis (0, how many windows behind the top have no input).
    """

    x: Tensor
    frame: Pads
    pads: Pads
    empty: Pads

    @property
    def blank(self) -> bool:
        """Whether windows may lie on the pixels around the bottom alone."""
        return any(n for pair in self.frame for n in pair)


def _framed(site: Site, x: Tensor, axes: Sequence[Axis], sizes: Sequence[int | None]) -> Framed:
    """Engines refuse pads as wide as a window."""
    pads, none = windows_pads(axes, sizes), [(0, 0)] * len(axes)
    if _all_reach(axes, pads):
        return Framed(x, none, pads, none)
    if None in sizes or any(axis.pad >= axis.kernel for axis in axes):  # Windows anywhere may be empty.
        return Framed(site.pad(x, [(0, 0), (0, 0), *pads], BLANK), pads, none, none)
    empty = [(0, _empty(axis, size)) for axis, size in zip(axes, known(sizes), strict=True)]
    narrower = zip(pads, empty, axes, strict=True)
    return Framed(x, none, [(p, max(0, after - n * axis.stride)) for (p, after), (_, n), axis in narrower], empty)


def _empty(axis: Axis, size: int) -> int:
    """How many of the last windows begin behind the image."""
    return int(np.sum(np.arange(axis.output(size)) * axis.stride - axis.pad >= size))


def _all_reach(axes: Sequence[Axis], pads: Pads) -> bool:
    """Whether every window reaches some input."""
    return all(n < axis.kernel for pair, axis in zip(pads, axes, strict=True) for n in pair)


def _geometry(axes: Sequence[Axis], pads: Pads) -> dict[str, Any]:
    first, last = zip(*pads, strict=True)
    kernel, stride = [axis.kernel for axis in axes], [axis.stride for axis in axes]
    return {"kernel_shape": kernel, "strides": stride, "pads": [*first, *last]}


def average_pool(site: Site, x: Tensor, axes: Sequence[Axis], sizes: Sequence[int | None]) -> Tensor:
    """The divisor counts the padding, but not what sticks out beyond it."""
    pads = windows_pads(axes, sizes)
    if not _all_reach(axes, [(0, after - axis.pad) for (_, after), axis in zip(pads, axes, strict=True)]):
        return _average_with_empty_windows(site, x, axes, sizes)
    # Zeros that count, then pads that do not: OpenCV 4 counts no pads of AveragePool, whatever it is told.
    x = site.pad(x, [(0, 0), (0, 0), *((axis.pad, axis.pad) for axis in axes)])
    outer = [(0, max(0, after - axis.pad)) for (_, after), axis in zip(pads, axes, strict=True)]
    return site.op("AveragePool", x, **_geometry(axes, outer))


def _average_with_empty_windows(site: Site, x: Tensor, axes: Sequence[Axis], sizes: Sequence[int | None]) -> Tensor:
    """Sums over Caffe's divisors, which are not positive for windows without any input."""
    mean, places = _whole_means(site, x, axes, sizes), math.prod(axis.kernel for axis in axes)
    if None not in sizes:
        extents = reduce(np.multiply.outer, map(_extent, axes, known(sizes)))
        with np.errstate(divide="ignore"):
            return str(site.op("Mul", mean, (places / extents).astype("float32")))
    for index, axis in enumerate(axes):
        mean = site.op("Div", mean, _open_extent(site, axis, index, mean))
    return str(site.op("Mul", mean, float(places)))


def _whole_means(site: Site, x: Tensor, axes: Sequence[Axis], sizes: Sequence[int | None]) -> Tensor:
    """Sums over the number of places in a window, with zeros beyond the image."""
    x = site.pad(x, [(0, 0), (0, 0), *windows_pads(axes, sizes)])
    return str(site.op("AveragePool", x, **_geometry(axes, [(0, 0)] * len(axes))))


def _extent(axis: Axis, size: int) -> np.ndarray:
    """The length of each window up to the end of the padding."""
    start = np.arange(axis.output(size)) * axis.stride - axis.pad
    return np.minimum(start + axis.kernel, size + axis.pad) - start


def _open_extent(site: Site, axis: Axis, index: int, top: Tensor) -> Tensor:
    """`_extent` along one axis of an image of open size, to divide the top by."""
    windows = site.range(site.graph.size(top, 2 + index))
    start = site.op("Sub", site.op("Mul", windows, [axis.stride]), [axis.pad])
    end = site.length(site.calculate("Add", site.sizes()[2 + index], axis.pad))
    extent = site.op("Sub", site.op("Min", site.op("Add", start, [axis.kernel]), end), start)
    return str(site.op("Reshape", site.cast(extent, "float"), [-1, *[1] * (site.rank - 3 - index)]))


def _max_with_mask(site: Site, x: Tensor, axes: Sequence[Axis]) -> tuple[Tensor, Tensor]:
    framed = _framed(site, x, axes, site.bottoms[0][2:])
    top, index = site.op("MaxPool", framed.x, outputs=2, **_geometry(axes, framed.pads))
    place = _place(site, index, framed)
    if framed.blank:
        found = site.op("Greater", top, BLANK)
        return site.where(found, top, -FLT_MAX), site.where(found, place, -1.0)
    around = [(0, 0), (0, 0), *framed.empty]
    return site.pad(top, around, -FLT_MAX), site.pad(place, around, -1.0)


def _place(site: Site, index: Tensor, framed: Framed) -> Tensor:
    """Where in its plane of the bottom a maximum is; its index counts through all planes of the framed bottom."""
    height, width = site.sizes()[2:]
    if framed.x == site.inputs[0]:
        return site.cast(site.op("Mod", index, site.length(site.calculate("Mul", height, width))), "float")
    (above, below), (left, right) = framed.frame
    wide = site.calculate("Add", width, left + right)
    high = site.calculate("Add", height, above + below)
    plane = site.op("Mod", index, site.length(site.calculate("Mul", high, wide)))
    # OpenCV 4 divides whole numbers as if they were not.
    column, line = site.cast(site.op("Mod", plane, site.length(wide)), "float"), number(site, wide)
    row = site.op("Floor", site.op("Div", site.cast(plane, "float"), line))
    shifted = site.op("Mul", site.op("Sub", row, float(above)), number(site, width))
    return str(site.op("Add", shifted, site.op("Sub", column, float(left))))


def _global_mask(site: Site, x: Tensor) -> Tensor:
    """The place of the first maximum of each plane."""
    batch, channels, *sizes = site.sizes()
    planes = site.reshape(x, [batch, channels, site.product(sizes)])
    best = site.op("ArgMax", planes, axis=2, keepdims=1)
    return site.cast(site.op("Unsqueeze", best, [3]), "float")


def stochastic_pool(site: Site, x: Tensor, axes: Sequence[Axis], sizes: Sequence[int | None]) -> Tensor:
    """In inference sum x^2 / sum x, 0 where the sum is not positive: means of windows of one size serve as sums."""
    total, squares = (_whole_means(site, one, axes, sizes) for one in (x, site.op("Mul", x, x)))
    positive = site.op("Greater", total, 0.0)
    return site.where(positive, site.op("Div", squares, site.where(positive, total, 1.0)), 0.0)


@writes(layers.NdPooling)
def nd_pooling(site: Site, x: Tensor) -> Tensor:
    layer, sizes = site.layer, site.bottoms[0][2:]
    if layer.global_pooling:
        return site.op("GlobalMaxPool" if layer.pool == "MAX" else "GlobalAveragePool", x)
    averages = _whole_means if layer.rule == "NDPOOLING" else average_pool
    return (max_pool if layer.pool == "MAX" else averages)(site, x, layer.axes(), sizes)


@writes(layers.Pooling3D)
def pooling3d(site: Site, x: Tensor) -> Tensor:
    """Its maxima begin at the first pixel even where there is padding; the number of windows counts that."""
    layer = site.layer
    sizes = site.known(site.bottoms[0][2:], "the sizes of the frames")
    pads = (0, layer.pad, layer.pad)
    axes = [Axis(*one) for one in zip(layer.kernel_size, layer.stride, pads, strict=True)]
    if layer.pool == "AVE":
        return _average_with_empty_windows(site, x, axes, sizes)
    reach = [(top - 1) * a.stride + a.kernel for top, a in zip(site.tops[0][2:], axes, strict=True)]  # type: ignore
    after = [(0, max(0, end - size)) for end, size in zip(reach, sizes, strict=True)]
    framed = site.pad(x, [(0, 0), (0, 0), *after], -FLT_MAX)
    return site.op("MaxPool", framed, **_geometry(axes, [(0, 0)] * 3))


@writes(layers.LRN)
def lrn(site: Site, x: Tensor) -> Tensor:
    layer = site.layer
    if layer.norm_region == "ACROSS_CHANNELS":
        # OpenVINO 2026 cuts the offset to a whole number: another k is taken out of the power.
        k = layer.k if layer.k > 0 and layer.k % 1 else 1.0
        y = site.op("LRN", x, alpha=layer.alpha / k, beta=layer.beta, bias=layer.k / k, size=layer.local_size)
        return y if k == 1 else site.op("Mul", y, k**-layer.beta)
    window = Axis(layer.local_size, 1, (layer.local_size - 1) // 2, clip=layer.local_size > 1)
    mean = average_pool(site, site.op("Mul", x, x), [window] * 2, site.bottoms[0][2:])
    base = site.op("Add", site.op("Mul", mean, layer.alpha), 1.0)
    return site.op("Mul", x, site.op("Pow", base, -layer.beta))
