"""Layers that move, join and combine values, and those that reduce axes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce as fold
from itertools import pairwise

from keras_caffe import layers
from keras_caffe import shapes as rules
from keras_caffe.onnx.activations import scaled
from keras_caffe.onnx.graph import Tensor
from keras_caffe.onnx.registry import writes
from keras_caffe.onnx.site import Length, Site


@writes(layers.Split)
def split(site: Site, x: Tensor) -> Sequence[Tensor]:
    return [x] * site.layer.num_tops


@writes(layers.Silence, layers.HDF5Output)
def silence(site: Site, *bottoms: Tensor) -> Sequence[Tensor]:
    return []


@writes(layers.Parameter)
def parameter(site: Site) -> Tensor:
    return site.weight(0)


@writes(layers.Concat)
def concat(site: Site, *bottoms: Tensor) -> Tensor:
    return site.op("Concat", *bottoms, axis=site.axis(site.layer.axis)) if len(bottoms) > 1 else bottoms[0]


@writes(layers.Slice)
def slice_(site: Site, x: Tensor) -> Sequence[Tensor]:
    axis, count = site.axis(site.layer.axis), site.layer.num_tops
    if count == 1:
        return [x]
    sizes = [top[axis] for top in site.tops]
    if None not in sizes:
        return list(site.op("Split", x, rules.known(sizes), axis=axis, outputs=count))
    points = site.layer.slice_point
    if not points:
        number = count if site.graph.opset >= 18 else None
        return list(site.op("Split", x, axis=axis, outputs=count, num_outputs=number))
    bounds = pairwise([0, *points, site.sizes()[axis]])
    return [site.slice(x, axis, start, stop) for start, stop in bounds]


@writes(layers.Flatten)
def flatten(site: Site, x: Tensor) -> Tensor:
    start, end = (axis % site.rank for axis in (site.layer.axis, site.layer.end_axis))
    if (start, end) == (1, site.rank - 1) and site.rank > 1:
        return site.op("Flatten", x, axis=1) if site.rank > 2 else x
    sizes = site.sizes()
    return site.reshape(x, [*sizes[:start], site.product(sizes[start : end + 1]), *sizes[end + 1 :]])


@writes(layers.Reshape)
def reshape(site: Site, x: Tensor) -> Tensor:
    layer, sizes, top = site.layer, site.sizes(), site.tops[0]
    start, end = rules.reshape_range(site.rank, layer.axis, layer.num_axes)
    copied: list[Length] = [sizes[start + i] if dim == 0 else dim for i, dim in enumerate(layer.dim)]
    wanted = [*sizes[:start], *copied, *sizes[end:]]
    whole = [size if known is None else known for size, known in zip(wanted, top, strict=True)]
    return site.op("Reshape", x, site.vector(whole)) if -1 in whole else site.reshape(x, whole)


@writes(layers.Permute, layers.Transpose)
def permute(site: Site, x: Tensor) -> Tensor:
    order = list(site.layer.order)
    return x if order == sorted(order) else site.op("Transpose", x, perm=order)


@writes(layers.Reverse)
def reverse(site: Site, x: Tensor) -> Tensor:
    return reversed_along(site, x, [site.axis(site.layer.axis)])


@writes(layers.Flip)
def flip(site: Site, x: Tensor) -> Tensor:
    return reversed_along(site, x, site.axes(site.layer.axes)) if site.layer.axes else x


@writes(layers.ReverseTime, precise=True)
def reverse_time(site: Site, x: Tensor, lengths: Tensor) -> Tensor:
    steps, streams, *rest = site.sizes()
    time = site.op("Unsqueeze", site.op("Add", site.range(steps), [0]), [1])
    length = site.op("Min", site.cast(site.reshape(lengths, [1, streams]), "int64"), site.length(steps))
    inside = site.op("Less", time, length)
    back = site.op("Sub", site.op("Sub", length, [1]), time)
    wide = [steps, streams, *[1] * len(rest)]
    place = site.reshape(site.where(inside, back, time), wide)
    y = site.op("GatherElements", x, site.op("Expand", place, site.vector(site.sizes())), axis=0)
    return y if site.layer.copy_remaining else site.where(site.reshape(inside, wide), y, 0.0)


def reversed_along(site: Site, x: Tensor, axes: Sequence[int]) -> Tensor:
    last, before_the_first, back = ([place] * len(axes) for place in (-1, -(2**31), -1))
    return str(site.op("Slice", x, last, before_the_first, list(axes), back))


@writes(layers.Crop)
def crop(site: Site, x: Tensor, like: Tensor) -> Tensor:
    sizes = site.sizes(1)
    for tensor_axis, offset in zip(site.layer.axes, site.layer.offset, strict=True):
        axis = site.axis(tensor_axis)
        whole = offset == 0 and sizes[axis] == site.bottoms[0][axis]
        x = x if whole else site.slice(x, axis, offset, site.calculate("Add", sizes[axis], offset))
    return x


@writes(layers.Tile)
def tile(site: Site, x: Tensor) -> Tensor:
    repeats = [1] * site.rank
    repeats[site.axis(site.layer.axis)] = site.layer.tiles
    return site.op("Tile", x, repeats)


@writes(layers.ShuffleChannel)
def shuffle_channel(site: Site, x: Tensor) -> Tensor:
    group, sizes = site.layer.group, [*site.sizes(), *[1] * (4 - site.rank)]
    channels = site.known(site.bottoms[0][1:2], "the number of channels")[0]
    grouped = site.reshape(x, [sizes[0], group, channels // group, site.product(sizes[2:])])
    return site.reshape(site.op("Transpose", grouped, perm=[0, 2, 1, 3]), sizes)


@writes(layers.Reorg)
def reorg(site: Site, x: Tensor) -> Tensor:
    s, (batch, channels, height, width) = site.layer.stride, site.sizes()
    depth = site.calculate("Div", channels, s * s)
    if site.layer.reverse:
        return site.op("DepthToSpace", x, blocksize=s, mode="DCR")
    # As the reverse would be if x were laid out anew, with s * s times fewer channels and s times larger images.
    small = [site.calculate("Div", size, s) for size in (height, width)]
    split = site.reshape(x, [batch, depth, height, s, width, s])
    turned = site.op("Transpose", split, perm=[0, 3, 5, 1, 2, 4])
    return site.reshape(turned, [batch, site.calculate("Mul", channels, s * s), *small])


@writes(layers.Eltwise)
def eltwise(site: Site, *bottoms: Tensor) -> Tensor:
    layer = site.layer
    terms = [scaled(site, x, c) for x, c in zip(bottoms, layer.coeff or [1] * len(bottoms), strict=True)]
    type = {"SUM": "Add", "PROD": "Mul", "MAX": "Max"}[layer.operation]
    if layer.operation == "MAX":
        return site.op(type, *bottoms)
    return fold(lambda a, b: site.op(type, a, b), terms)


@writes(layers.Axpy)
def axpy(site: Site, a: Tensor, x: Tensor, b: Tensor) -> Tensor:
    rank = len(site.bottoms[1])
    if site.rank != rank:
        a = site.reshape(a, [*site.sizes()[:2], *[1] * (rank - 2)])
    return site.op("Add", site.op("Mul", a, x), b)


@writes(layers.Maxout)
def maxout(site: Site, x: Tensor) -> Tensor:
    axis, sizes, group = site.axis(site.layer.axis), site.sizes(), site.layer.chgroup_sz
    grouped = [*sizes[:axis], site.calculate("Div", sizes[axis], group), group, *sizes[axis + 1 :]]
    return site.reduce("ReduceMax", site.reshape(x, grouped), [axis + 1], keepdims=False)


@writes(layers.Reduction)
def reduction(site: Site, x: Tensor) -> Tensor:
    layer, axes = site.layer, site.axes(site.layer.axes)
    # Not ReduceL1 and ReduceSumSquare: OpenVINO 2026 takes the axes of the former for all.
    x = {"ASUM": lambda: site.op("Abs", x), "SUMSQ": lambda: site.op("Mul", x, x)}.get(layer.operation, lambda: x)()
    type = "ReduceMean" if layer.operation == "MEAN" else "ReduceSum"
    # OpenCV fails where a list of axes names all of them.
    if len(axes) == site.rank:
        return scaled(site, site.op(type, x, keepdims=0), layer.coeff)
    if layer.coeff == 1:
        return site.reduce(type, x, axes, keepdims=False)
    # OpenCV 4 multiplies the first of a blob's values alone where it has one axis.
    return site.op("Squeeze", scaled(site, site.reduce(type, x, axes), layer.coeff), axes)


@writes(layers.BatchReindex, precise=True)
def batch_reindex(site: Site, x: Tensor, index: Tensor) -> Tensor:
    return site.op("Gather", x, site.cast(index, "int64"), axis=0)


@writes(layers.Filter, precise=True)
def filter_(site: Site, *bottoms: Tensor) -> Sequence[Tensor]:
    *blobs, selector = bottoms
    chosen = site.cast(site.op("Reshape", selector, [-1]), "bool")
    return [site.op("Compress", x, chosen, axis=0) for x in blobs]


@writes(layers.ArgMax, precise=True)
def arg_max(site: Site, x: Tensor) -> Tensor:
    layer, sizes = site.layer, site.sizes()
    axis = 1 if layer.axis is None else site.axis(layer.axis)
    if layer.axis is None and site.rank != 2:
        sizes = [sizes[0], site.product(sizes[1:])]
        x = site.reshape(x, sizes)
    values, indices = _greatest(site, x, axis, sizes[axis])
    if layer.axis is not None:
        return values if layer.out_max_val else indices
    stacked = [site.op("Unsqueeze", one, [1]) for one in ([indices, values] if layer.out_max_val else [indices])]
    best = site.op("Concat", *stacked, axis=1) if len(stacked) > 1 else stacked[0]
    top = site.tops[0]
    return site.reshape(best, [*sizes[:1], *top[1:]]) if len(top) != 3 else best  # type: ignore[list-item]


def _greatest(site: Site, x: Tensor, axis: int, size: Length) -> tuple[Tensor, Tensor]:
    """Values and indices, as floats. Searched backwards: ONNX puts the first of equal values first, Caffe the last."""
    back = site.op("Slice", x, [-1], [-(2**62)], [axis], [-1])
    values, found = site.op("TopK", back, [site.layer.top_k], axis=axis, outputs=2)
    last = site.calculate("Sub", size, 1)
    return values, site.cast(site.op("Sub", site.length(last), found), "float")
