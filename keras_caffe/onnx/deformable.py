"""What learned offsets move: taps of convolutions (ONNX's DeformConv has other edges) and bins of regions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_caffe import layers
from keras_caffe.onnx.detection import images as numbers_to
from keras_caffe.onnx.graph import Tensor
from keras_caffe.onnx.losses import number
from keras_caffe.onnx.regions import regions, rounded
from keras_caffe.onnx.registry import writes
from keras_caffe.onnx.site import Length, Site

Pairs = Sequence[tuple[Tensor, Tensor]]
"""Places, and what each counts"""


@writes(layers.DeformableConvolution, precise=True)
def deformable_convolution(site: Site, x: Tensor, offsets: Tensor) -> Tensor:
    """See `keras_caffe.ops.deformable.deformed_columns`: each group's kernel times what its taps see."""
    layer, (batch, _, high, wide) = site.layer, site.sizes()
    name, kernel = site.weights[0]
    kernel = kernel.reshape(layer.group, layer.num_output // layer.group, -1)
    seen = site.reshape(_seen(site, x, offsets), [batch, layer.group, kernel.shape[2], site.product([high, wide])])
    y = site.op("MatMul", site.graph.weight(name, kernel), seen)
    y = site.reshape(y, [batch, layer.num_output, high, wide])
    return site.op("Add", y, site.op("Reshape", site.weight(1), [-1, 1, 1])) if layer.bias_term else y


def _seen(site: Site, x: Tensor, offsets: Tensor) -> Tensor:
    """(N, groups, channels of one, taps times pixels): bilinear samples, 0 outside the image."""
    taps, groups = int(np.prod(site.layer.kernel_size)), site.layer.deformable_group
    batch, channels, high, wide = site.sizes()
    pixels, parts = site.product([high, wide]), site.calculate("Div", channels, groups)
    samples = site.product([taps, pixels])
    moved = site.reshape(offsets, [batch, groups, taps, 2, high, wide])
    moves = site.op("Split", moved, [1, 1], axis=3, outputs=2)
    down, across = (site.op("Add", _starts(site, axis, size), moves[axis]) for axis, size in enumerate((high, wide)))
    inside = site.op("And", _within(site, down, high), _within(site, across, wide))
    table = site.reshape(x, [batch, groups, parts, pixels])
    shape, one = site.vector([batch, groups, parts, samples]), [batch, groups, 1, samples]
    total = ""
    for row, tall in _neighbours(site, down, high):
        for column, broad in _neighbours(site, across, wide):
            place = site.reshape(site.op("Add", site.op("Mul", row, site.length(wide)), column), one)
            found = site.op("GatherElements", table, site.op("Expand", place, shape), axis=3)
            share = site.where(inside, site.op("Mul", tall, broad), 0.0)
            part = site.op("Mul", found, site.reshape(share, one))
            total = site.op("Add", total, part) if total else part
    return total


def _starts(site: Site, axis: int, size: Length) -> Tensor:
    """Where the taps stand before they are moved: (taps, 1, H, 1) rows or (taps, 1, 1, W) columns."""
    layer = site.layer
    taps = np.indices(layer.kernel_size)[axis].reshape(-1, 1, 1, 1) * layer.dilation[axis] - layer.pad[axis]
    places = site.op("Mul", numbers_to(site, size), float(layer.stride[axis]))
    turned = site.op("Reshape", places, [-1, 1]) if axis == 0 else places
    return str(site.op("Add", turned, taps.astype("float32")))


def _within(site: Site, at: Tensor, size: Length) -> Tensor:
    return str(site.op("And", site.op("GreaterOrEqual", at, 0.0), site.op("Less", at, number(site, size))))


def _neighbours(site: Site, at: Tensor, size: Length) -> list[tuple[Tensor, Tensor]]:
    """The two whole places around each place, and what each counts; from the last one on that one alone."""
    last = site.op("Sub", number(site, size), 1.0)
    first = site.op("Max", site.op("Min", site.op("Floor", at), last), 0.0)
    share = site.where(site.op("Less", first, last), site.op("Sub", at, first), 0.0)
    second = site.op("Min", site.op("Add", first, 1.0), last)
    pairs = (first, site.op("Sub", 1.0, share)), (second, share)
    return [(site.cast(place, "int64"), part) for place, part in pairs]


@writes(layers.DeformablePSROIPooling, precise=True)
def deformable_psroi_pooling(site: Site, x: Tensor, rois: Tensor, moves: Tensor | None = None) -> Tensor:
    """See `keras_caffe.ops.roi_samples.deformed_psroi_pool`: (R, K, D / K, G, G, S, S) samples and their means."""
    layer, rois = site.layer, regions(site, rois)
    group, depth, (_, channels, high, wide) = layer.group_size, layer.output_dim, site.sizes()
    moves = None if layer.no_trans else moves
    kinds = site.known(site.bottoms[2][1:2], "the number of offsets")[0] // 2 if moves else 1
    columns, in_columns = _line(site, rois, moves, 0, wide)
    rows, in_rows = _line(site, rois, moves, 1, high)
    image = site.op("Reshape", site.cast(site.slice(rois, 1, 0, 1), "int64"), [-1, 1, 1, 1, 1, 1, 1])
    channel = np.arange(depth * group**2, dtype="int64").reshape(kinds, -1, group, group, 1, 1)
    plane = site.op("Add", site.op("Mul", image, site.length(channels)), channel)
    flat, total = site.op("Reshape", x, [-1]), ""
    for y, tall in rows:
        row = site.op("Add", site.op("Mul", plane, site.length(high)), _down(site, y))
        for at, broad in columns:
            place = site.op("Add", site.op("Mul", row, site.length(wide)), _across(site, at))
            down, across = site.op("Mul", in_rows, tall), site.op("Mul", in_columns, broad)
            share = site.op("Mul", _down(site, down), _across(site, across))
            part = site.op("Mul", site.op("Gather", flat, place), share)
            total = site.op("Add", total, part) if total else part
    down, across = (site.reduce("ReduceSum", inside, [4], keepdims=False) for inside in (in_rows, in_columns))
    count = site.op("Unsqueeze", site.op("Max", site.op("Mul", down, across), 1.0), [2])
    mean = site.op("Div", site.reduce("ReduceSum", total, [5, 6], keepdims=False), count)
    return str(site.op("Reshape", mean, [-1, depth, group, group]))


def _down(site: Site, rows: Tensor) -> Tensor:
    """(R, K, G, G, S) of rows among the (R, K, D / K, G, G, S, S) of samples."""
    return str(site.op("Unsqueeze", rows, [2, 6]))


def _across(site: Site, columns: Tensor) -> Tensor:
    return str(site.op("Unsqueeze", columns, [2, 5]))


def _line(site: Site, rois: Tensor, moves: Tensor | None, axis: int, size: Length) -> tuple[Pairs, Tensor]:
    """Of the samples along an axis (0: x), (R, K, G, G, S): the pixels around each with their shares; if it counts."""
    layer, scale = site.layer, float(site.layer.spatial_scale)
    group, samples = layer.group_size, layer.sample_per_part
    first, last = (rounded(site, site.slice(rois, 1, start, start + 1)) for start in (1 + axis, 3 + axis))
    first = site.op("Sub", site.op("Mul", first, scale), 0.5)
    last = site.op("Sub", site.op("Mul", site.op("Add", last, 1.0), scale), 0.5)
    extent = site.op("Max", site.op("Sub", last, first), 0.1)
    step = site.op("Div", extent, float(group))
    starts = site.op("Add", site.op("Mul", np.arange(group, dtype="float32")[None], step), first)
    at = site.op("Reshape", starts, [-1, 1, 1, group] if axis == 0 else [-1, 1, group, 1])
    if moves:
        at = site.op("Add", _moves(site, moves, axis, site.op("Reshape", extent, [-1, 1, 1, 1])), at)
    apart = site.op("Div", step, float(samples))
    within = site.op("Mul", np.arange(samples, dtype="float32")[None], apart)
    at = site.op("Add", site.op("Unsqueeze", at, [4]), site.op("Reshape", within, [-1, 1, 1, 1, samples]))
    edge = number(site, size)
    near = site.op("LessOrEqual", at, site.op("Sub", edge, 0.5))
    inside = site.op("And", site.op("GreaterOrEqual", at, -0.5), near)
    at = site.op("Min", site.op("Max", at, 0.0), site.op("Sub", edge, 1.0))
    low = site.op("Floor", at)
    share = site.op("Sub", at, low)
    pairs = (low, site.op("Sub", 1.0, share)), (site.op("Ceil", at), share)
    return [(site.cast(place, "int64"), part) for place, part in pairs], site.cast(inside, "float")


def _moves(site: Site, moves: Tensor, axis: int, extent: Tensor) -> Tensor:
    """(R, K, G, G): how far each bin is moved along an axis."""
    layer, (kinds,) = site.layer, site.known(site.bottoms[2][1:2], "the number of offsets")
    group = np.arange(layer.group_size, dtype="float32") / np.float32(layer.group_size)
    part = np.floor(group * np.float32(layer.part_size)).astype("int64")
    ours = site.op("Gather", moves, np.arange(axis, kinds, 2), axis=1)
    ours = site.op("Gather", site.op("Gather", ours, part, axis=2), part, axis=3)
    return str(site.op("Mul", site.op("Mul", ours, float(layer.trans_std)), extent))
