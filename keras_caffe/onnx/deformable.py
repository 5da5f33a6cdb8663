"""Convolutions whose taps are moved by learned offsets: ONNX's DeformConv treats the last row and column otherwise."""

from __future__ import annotations

import numpy as np

from keras_caffe import layers
from keras_caffe.onnx.detection import images as numbers_to
from keras_caffe.onnx.graph import Tensor
from keras_caffe.onnx.losses import number
from keras_caffe.onnx.registry import writes
from keras_caffe.onnx.site import Length, Site


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
def deformable_psroi_pooling(site: Site, *bottoms: Tensor) -> Tensor:
    site.refuse("offsets move each of its bins, and no operation of ONNX pools such")
