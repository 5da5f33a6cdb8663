"""Regions of interest: which a network proposes, and what is pooled of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_caffe import layers
from keras_caffe.onnx.detection import and_more, cells, ranks, suppressed, top
from keras_caffe.onnx.graph import Tensor
from keras_caffe.onnx.registry import writes
from keras_caffe.onnx.site import Length, Site


def regions(site: Site, rois: Tensor) -> Tensor:
    """(R, 5), also from (R, 5, 1, 1)."""
    return rois if len(site.bottoms[1]) == 2 else site.op("Reshape", rois, [-1, 5])


@writes(layers.ROIPooling, precise=True)
def roi_pooling(site: Site, x: Tensor, rois: Tensor) -> Tensor:
    layer = site.layer
    if site.graph.opset >= 22:
        site.refuse("no engine knows MaxRoiPool of this opset", "opset 13 to 21", site.graph.opset)
    bins = [layer.pooled_h, layer.pooled_w]
    return site.op("MaxRoiPool", x, regions(site, rois), pooled_shape=bins, spatial_scale=layer.spatial_scale)


@writes(layers.ROIAlign, precise=True)
def roi_align(site: Site, x: Tensor, rois: Tensor) -> Tensor:
    layer, rois = site.layer, regions(site, rois)
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
    layer, rois = site.layer, regions(site, rois)
    batch, _, height, width = site.sizes()
    group, depth = layer.group_size, layer.output_dim
    rows, columns = (_mean_weights(site, rois, axis, size) for axis, size in ((1, height), (0, width)))
    images = site.cast(site.op("Range", *_limits(site, batch)), "float")
    own = site.cast(site.op("Equal", site.slice(rois, 1, 0, 1), images), "float")
    rows = site.op("Einsum", rows, own, equation="rph,rn->rpnh")
    grouped = site.reshape(x, [batch, depth, group, group, height, width])
    placed = site.op("Einsum", rows, grouped, equation="rpnh,ndpqhw->rdpqw")
    return site.op("Einsum", placed, columns, equation="rdpqw,rqw->rdpq")


@writes(layers.ROIWarping, precise=True)
def roi_warping(site: Site, x: Tensor, rois: Tensor) -> Tensor:
    """Samples as products with matrices that hold, for each region and bin, how much each row and column counts."""
    layer, rois = site.layer, regions(site, rois)
    batch, _, height, width = site.sizes()
    rows, columns = (
        _sample_weights(site, rois, axis, bins, size)
        for axis, bins, size in ((1, layer.pooled_h, height), (0, layer.pooled_w, width))
    )
    images = site.cast(site.op("Range", *_limits(site, batch)), "float")
    own = site.cast(site.op("Equal", site.slice(rois, 1, 0, 1), images), "float")
    placed = site.op("Einsum", site.op("Einsum", rows, own, equation="rph,rn->rpnh"), x, equation="rpnh,nchw->rcpw")
    return site.op("Einsum", placed, columns, equation="rcpw,rqw->rcpq")


def _sample_weights(site: Site, rois: Tensor, axis: int, bins: int, size: Length) -> Tensor:
    """(R, P, size) of one bilinear sample at the first corner of each bin along an axis (0: x, 1: y)."""
    scale = float(site.layer.spatial_scale)
    corners = (site.slice(rois, 1, start, start + 1) for start in (1 + axis, 3 + axis))
    first, last = (rounded(site, site.op("Mul", corner, scale)) for corner in corners)
    step = site.op("Div", site.op("Max", site.op("Sub", last, first), 0.0), float(bins))
    at = site.op("Add", site.op("Mul", np.arange(bins, dtype="float32")[None], step), first)
    edge = site.op("Sub", site.cast(site.op("Squeeze", site.length(size), [0]), "float"), 1.0)
    beyond = site.op("Greater", at, site.op("Add", edge, 0.5))
    inside = site.op("Not", site.op("Or", site.op("Less", at, -0.5), beyond))
    at = site.op("Unsqueeze", site.op("Min", site.op("Max", at, 0.0), edge), [2])
    places = site.cast(site.op("Range", *_limits(site, size)), "float")
    hat = site.op("Max", site.op("Sub", 1.0, site.op("Abs", site.op("Sub", at, places))), 0.0)
    return site.op("Mul", hat, site.op("Unsqueeze", site.cast(inside, "float"), [2]))


def _limits(site: Site, count: Length) -> Sequence[Tensor]:
    """Start, end and step of a range from 0 on, without axes."""
    end = site.op("Squeeze", site.length(count), [0])
    return [site.graph.constant(np.int64(0), "int64"), end, site.graph.constant(np.int64(1), "int64")]


def _mean_weights(site: Site, rois: Tensor, axis: int, size: Length) -> Tensor:
    """(R, G, size): 1 / length at the positions in a bin of the axis (0: x, 1: y)."""
    layer = site.layer
    first, last = (rounded(site, site.slice(rois, 1, start, start + 1)) for start in (1 + axis, 3 + axis))
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


def rounded(site: Site, x: Tensor) -> Tensor:
    """C's round: halves go away from zero."""
    size = site.op("Abs", x)
    whole = site.op("Floor", size)
    up = site.cast(site.op("GreaterOrEqual", site.op("Sub", size, whole), 0.5), "float")
    return site.op("Mul", site.op("Sign", x), site.op("Add", whole, up))


@writes(layers.Proposal, precise=True)
def proposal(site: Site, scores: Tensor, deltas: Tensor, image: Tensor) -> Sequence[Tensor]:
    layer = site.layer
    if site.bottoms[0][0] != 1:
        site.refuse("regions come of one image at a time", "a batch of 1", site.bottoms[0][0])
    sizes, boxes = site.sizes()[2:], layer.anchors
    count = site.product([*sizes, len(boxes)])
    changes = site.reshape(site.op("Transpose", deltas, perm=[0, 2, 3, 1]), [*sizes, len(boxes), 4])
    places = site.op("Mul", cells(site, *sizes), float(layer.feat_stride))
    corners = _clipped(site, site.op("Reshape", _moved(site, changes, places, boxes), [-1, 4]), image)
    own = site.op("Transpose", site.slice(scores, 1, len(boxes), 2 * len(boxes)), perm=[0, 2, 3, 1])
    score = site.op("Reshape", own, [-1])
    score = site.where(_large(site, corners, image), score, -np.inf if layer.python else 0.0)
    most = site.calculate("Min", count, layer.pre_nms_topn)
    score, order = top(site, score, most, 0)
    scores = ranks(site, site.op("Unsqueeze", score, [0, 1]), most)
    regions = site.op("Gather", corners, order)
    # A region of pixels 3 to 3 is one pixel wide.
    whole = site.op("Unsqueeze", site.op("Add", regions, np.asarray([0, 0, 1, 1], "float32")), [0])
    found = suppressed(site, whole, scores, and_more(layer.nms_thresh), layer.post_nms_topn)
    kept = site.op("Squeeze", site.slice(found, 1, 2, 3), [1])
    rows = site.op("Pad", site.op("Gather", regions, kept), [0, 1, 0, 0])
    own = site.op("Gather", score, kept)
    return [rows, own if layer.pixels else site.op("Unsqueeze", own, [1])] if layer.scores else [rows]


def _moved(site: Site, changes: Tensor, places: Tensor, boxes: np.ndarray) -> Tensor:
    """(H, W, A, 4) corners after shifts of centres in units of the size and logarithms of changes in size.

    Args:
        changes: (H, W, A, 4).
        places: (H, W, 1, 2) pixels at which the cells begin.
        boxes: (A, 4) the anchors of the first cell.
    """
    low, size = boxes[:, :2], boxes[:, 2:] - boxes[:, :2] + 1
    place, stretch = (site.slice(changes, 3, start, start + 2) for start in (0, 2))
    middle = site.op("Add", places, low + np.float32(0.5) * size)
    centre = site.op("Add", site.op("Mul", place, size), middle)
    half = site.op("Mul", site.op("Mul", site.op("Exp", stretch), 0.5), size)
    return str(site.op("Concat", site.op("Sub", centre, half), site.op("Add", centre, half), axis=3))


def _image(site: Site, image: Tensor, start: int, stop: int) -> Tensor:
    """Some of the numbers height, width, scale (or its scale and that of the width)."""
    return site.slice(site.op("Reshape", image, [-1]), 0, start, stop)


def _clipped(site: Site, corners: Tensor, image: Tensor) -> Tensor:
    last = site.op("Sub", site.op("Gather", _image(site, image, 0, 2), [1, 0, 1, 0]), 1.0)
    return site.op("Max", site.op("Min", corners, last), 0.0)


def _large(site: Site, corners: Tensor, image: Tensor) -> Tensor:
    """(boxes,) whether a region's sides are at least min_size of the image before it was scaled."""
    numbers = site.known(site.bottoms[2][-1:], "the number of values of the image")[0]
    scale = site.op("Gather", _image(site, image, 2, numbers), [1, 0] if numbers == 4 else [0, 0])
    low, high = (site.slice(corners, 1, start, start + 2) for start in (0, 2))
    sides = site.op("Add", site.op("Sub", high, low), 1.0)
    least = site.op("Mul", scale, float(site.layer.min_size))
    enough = site.cast(site.op("GreaterOrEqual", sides, least), "float")
    return site.cast(site.reduce("ReduceMin", enough, [1], keepdims=False), "bool")
