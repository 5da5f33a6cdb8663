"""Pooling of regions of interest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_caffe import layers
from keras_caffe.onnx.graph import Tensor
from keras_caffe.onnx.registry import writes
from keras_caffe.onnx.site import Length, Site


def _regions(site: Site, rois: Tensor) -> Tensor:
    """(R, 5), also from (R, 5, 1, 1)."""
    return rois if len(site.bottoms[1]) == 2 else site.op("Reshape", rois, [-1, 5])


@writes(layers.ROIPooling, precise=True)
def roi_pooling(site: Site, x: Tensor, rois: Tensor) -> Tensor:
    layer = site.layer
    if site.graph.opset >= 22:
        site.refuse("no engine knows MaxRoiPool of this opset", "opset 13 to 21", site.graph.opset)
    bins = [layer.pooled_h, layer.pooled_w]
    return site.op("MaxRoiPool", x, _regions(site, rois), pooled_shape=bins, spatial_scale=layer.spatial_scale)


@writes(layers.ROIAlign, precise=True)
def roi_align(site: Site, x: Tensor, rois: Tensor) -> Tensor:
    layer, rois = site.layer, _regions(site, rois)
    image = site.op("Squeeze", site.slice(rois, 1, 0, 1), [1])
    return site.op(
        "RoiAlign",
        x,
        site.slice(rois, 1, 1, 5),
        site.cast(image, "int64"),
        output_height=layer.pooled_h,
        output_width=layer.pooled_w,
        sampling_ratio=max(layer.sampling_ratio, 0),
        spatial_scale=layer.spatial_scale,
        coordinate_transformation_mode="output_half_pixel" if site.graph.opset >= 16 else None,
    )


@writes(layers.PSROIPooling, precise=True)
def psroi_pooling(site: Site, x: Tensor, rois: Tensor) -> Tensor:
    """Means as products with matrices that hold, for each region and bin, the weight of each row and column."""
    layer, rois = site.layer, _regions(site, rois)
    batch, _, height, width = site.sizes()
    group, depth = layer.group_size, layer.output_dim
    rows, columns = (_mean_weights(site, rois, axis, size) for axis, size in ((1, height), (0, width)))
    images = site.cast(site.op("Range", *_limits(site, batch)), "float")
    own = site.cast(site.op("Equal", site.slice(rois, 1, 0, 1), images), "float")
    rows = site.op("Einsum", rows, own, equation="rph,rn->rpnh")
    grouped = site.reshape(x, [batch, depth, group, group, height, width])
    placed = site.op("Einsum", rows, grouped, equation="rpnh,ndpqhw->rdpqw")
    return site.op("Einsum", placed, columns, equation="rdpqw,rqw->rdpq")


def _limits(site: Site, count: Length) -> Sequence[Tensor]:
    """Start, end and step of a range from 0 on, without axes."""
    end = site.op("Squeeze", site.length(count), [0])
    return [site.graph.constant(np.int64(0), "int64"), end, site.graph.constant(np.int64(1), "int64")]


def _mean_weights(site: Site, rois: Tensor, axis: int, size: Length) -> Tensor:
    """(R, G, size): 1 / length at the positions in a bin of the axis (0: x, 1: y)."""
    layer = site.layer
    first, last = (_rounded(site, site.slice(rois, 1, start, start + 1)) for start in (1 + axis, 3 + axis))
    first = site.op("Mul", first, float(layer.spatial_scale))
    last = site.op("Mul", site.op("Add", last, 1.0), float(layer.spatial_scale))
    step = site.op("Div", site.op("Max", site.op("Sub", last, first), 0.1), float(layer.group_size))
    bins = np.arange(layer.group_size, dtype="float32")[None]
    low = site.op("Floor", site.op("Add", site.op("Mul", bins, step), first))
    high = site.op("Ceil", site.op("Add", site.op("Mul", bins + 1, step), first))
    places = site.op("Range", *_limits(site, size))
    end = site.cast(site.op("Squeeze", site.length(size), [0]), "float")
    low, high = (site.op("Unsqueeze", site.op("Min", site.op("Max", edge, 0.0), end), [2]) for edge in (low, high))
    place = site.cast(places, "float")
    inside = site.op("And", site.op("GreaterOrEqual", place, low), site.op("Less", place, high))
    length = site.op("Max", site.op("Sub", high, low), 1.0)
    return site.op("Div", site.cast(inside, "float"), length)


def _rounded(site: Site, x: Tensor) -> Tensor:
    """C's round: halves go away from zero."""
    size = site.op("Abs", x)
    whole = site.op("Floor", size)
    up = site.cast(site.op("GreaterOrEqual", site.op("Sub", size, whole), 0.5), "float")
    return site.op("Mul", site.op("Sign", x), site.op("Add", whole, up))
