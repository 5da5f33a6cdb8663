"""Images looked up between their pixels, and compared with displaced ones (FlowNet2, LiteFlowNet)."""

from __future__ import annotations

from collections.abc import Sequence

from keras_caffe import layers
from keras_caffe.layers.flow_warp import FILLS
from keras_caffe.onnx.detection import images as numbers_to
from keras_caffe.onnx.graph import Tensor
from keras_caffe.onnx.losses import number
from keras_caffe.onnx.registry import writes
from keras_caffe.onnx.site import Site


@writes(layers.Grid, precise=True)
def grid(site: Site, x: Tensor) -> Tensor:
    batch, _, *sizes = site.sizes()
    shape = site.vector([batch, 1, *sizes])
    return str(site.op("Concat", *(site.op("Expand", side, shape) for side in _places(site)), axis=1))


def _places(site: Site) -> tuple[Tensor, Tensor]:
    """Columns (W,) and rows (H, 1) of an image's pixels, as floats."""
    high, wide = site.sizes()[2:]
    return numbers_to(site, wide), site.op("Reshape", numbers_to(site, high), [-1, 1])


@writes(layers.FlowWarp, precise=True)
def flow_warp(site: Site, image: Tensor, flow: Tensor) -> Tensor:
    limits = [number(site, size) for size in reversed(site.sizes()[2:])]
    moved = [site.op("Add", one, place) for one, place in zip(_coordinates(site, flow), _places(site), strict=True)]
    inside = _all(site, [site.op("GreaterOrEqual", one, 0.0) for one in moved] + _below(site, moved, limits))
    ends = [site.op("Sub", limit, 1.0) for limit in limits]
    columns, rows = (_neighbours(site, one, inside) for one in moved)
    total = ""
    for row, high in rows:
        for column, wide in columns:
            at = [site.op("Min", one, end) for one, end in zip((column, row), ends, strict=True)]
            part = site.op("Mul", _looked_up(site, image, *at), site.op("Mul", wide, high))
            total = site.op("Add", total, part) if total else part
    return site.where(inside, total, FILLS[site.layer.fill_value])


@writes(layers.Warp, precise=True)
def warp(site: Site, image: Tensor, coordinates: Tensor) -> Tensor:
    limits = [number(site, size) for size in reversed(site.sizes()[2:])]
    ends = [site.op("Sub", limit, 1.0) for limit in limits]
    at = _coordinates(site, coordinates)
    near = _all(site, [site.op("Greater", one, -1.0) for one in at] + _below(site, at, limits))
    columns, rows = (_neighbours(site, one, near) for one in at)
    total = ""
    for row, high in rows:
        for column, wide in columns:
            pair = [column, row]
            there = _all(
                site, [near, *(site.op("GreaterOrEqual", one, 0.0) for one in pair), *_below(site, pair, limits)]
            )
            safe = [site.op("Min", site.op("Max", one, 0.0), end) for one, end in zip(pair, ends, strict=True)]
            pixels = site.where(there, _looked_up(site, image, *safe), 0.0)
            part = site.op("Mul", pixels, site.where(there, site.op("Mul", wide, high), 0.0))
            total = site.op("Add", total, part) if total else part
    return total


def _coordinates(site: Site, pairs: Tensor) -> Sequence[Tensor]:
    """(N, 1, H, W) columns and rows."""
    return tuple(site.op("Split", pairs, [1, 1], axis=1, outputs=2))


def _below(site: Site, values: Sequence[Tensor], limits: Sequence[object]) -> list[Tensor]:
    return [site.op("Less", one, limit) for one, limit in zip(values, limits, strict=True)]  # type: ignore[arg-type]


def _all(site: Site, conditions: Sequence[Tensor]) -> Tensor:
    first, *rest = conditions
    for one in rest:
        first = site.op("And", first, one)
    return first


def _neighbours(site: Site, x: Tensor, used: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The whole numbers below and above, each with its share; where they are not used, 0 and 1."""
    x = site.where(used, x, 0.0)
    low = site.op("Floor", x)
    share = site.op("Sub", x, low)
    return [(low, site.op("Sub", 1.0, share)), (site.op("Add", low, 1.0), share)]


def _looked_up(site: Site, image: Tensor, column: Tensor, row: Tensor) -> Tensor:
    """(N, C, H, W): the pixels at whole (N, 1, H, W) columns and rows."""
    batch, channels, high, wide = site.sizes()
    start = site.op("Mul", site.cast(row, "int64"), site.length(wide))
    flat = [batch, 1, site.product([high, wide])]
    place = site.reshape(site.op("Add", start, site.cast(column, "int64")), flat)
    shape = [batch, channels, flat[2]]
    place = site.op("Expand", place, site.vector(shape))
    pixels = site.op("GatherElements", site.reshape(image, shape), place, axis=2)
    return site.reshape(pixels, [batch, channels, high, wide])


@writes(layers.Correlation, layers.Correlation1D)
def correlation(site: Site, a: Tensor, b: Tensor) -> Tensor:
    """See `keras_caffe.ops.correlation.correlation`."""
    layer, (rows, columns) = site.layer, site.layer.displacements()
    high, wide = site.known(site.tops[0][2:], "the size of the images")
    top, left = (layer.max_displacement * axis for axis in layer.padded_axes)
    down, across = ((layer.pad * axis,) * 2 for axis in layer.padded_axes)
    outside = max(0, -(left + columns[0]))
    a = site.pad(a, [(0, 0), (0, 0), down, across])
    b = site.pad(b, [(0, 0), (0, 0), down, (across[0] + outside, across[1])])
    a, b = (_windows(site, one) for one in (a, b))
    a = _every(site, _every(site, a, 2, top, high, layer.stride_1), 3, left, wide, layer.stride_1)
    first = left + columns[0] + outside
    compare = _differences if layer.correlation_type == "SUBTRACT" else _products
    strips = [_every(site, b, 2, top + row, high, layer.stride_1) for row in rows]
    maps = [one for strip in strips for one in compare(site, a, strip, first, columns)]
    (channels,) = site.known(site.bottoms[0][1:2], "the number of channels")
    y = site.op("Concat", *maps, axis=1) if len(maps) > 1 else maps[0]
    return site.op("Div", y, float(channels * layer.kernel_size**2))


def _every(site: Site, x: Tensor, axis: int, first: int, count: int, stride: int) -> Tensor:
    return str(site.op("Slice", x, [first], [first + (count - 1) * stride + 1], [axis], [stride]))


def _windows(site: Site, x: Tensor) -> Tensor:
    """Each window's pixels as channels."""
    size = site.layer.kernel_size
    ends = {place: 2**31 if place == size - 1 else place - size + 1 for place in range(size)}
    parts = [site.op("Slice", x, [i, j], [ends[i], ends[j]], [2, 3]) for i in range(size) for j in range(size)]
    return str(site.op("Concat", *parts, axis=1)) if size > 1 else x


def _products(site: Site, a: Tensor, b: Tensor, first: int, columns: range) -> list[Tensor]:
    """Of each row all products in one matrix, whose diagonals are the displacements."""
    layer, (batch, *_) = site.layer, site.sizes()
    high, wide = site.known(site.tops[0][2:], "the size of the images")
    all_columns = _columns_of_b(site, columns)
    left, right = (site.op("Transpose", one, perm=perm) for one, perm in ((a, [0, 2, 3, 1]), (b, [0, 2, 1, 3])))
    every = site.reshape(site.op("MatMul", left, right), [batch, high, wide * all_columns])
    wider = site.pad(every, [(0, 0), (0, 0), (0, wide * layer.stride_1)])
    skewed = site.reshape(wider, [batch, high, wide, all_columns + layer.stride_1])
    kept = _every(site, skewed, 3, first, len(columns), columns.step)
    return [site.op("Transpose", kept, perm=[0, 3, 1, 2])]


def _columns_of_b(site: Site, columns: range) -> int:
    layer, (size,) = site.layer, site.known(site.bottoms[0][3:], "the size of the images")
    padded, left = layer.pad * layer.padded_axes[1], layer.max_displacement * layer.padded_axes[1]
    return size + 2 * padded + max(0, -(left + columns[0])) - (layer.kernel_size - 1)


def _differences(site: Site, a: Tensor, b: Tensor, first: int, columns: range) -> list[Tensor]:
    _, wide = site.known(site.tops[0][2:], "the size of the images")
    parts = [_every(site, b, 3, first + column - columns[0], wide, site.layer.stride_1) for column in columns]
    return [site.reduce("ReduceSum", site.op("Abs", site.op("Sub", a, part)), [1]) for part in parts]
