"""Boxes: priors, and the detections that come of scores and shifts of boxes."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from keras_caffe import layers
from keras_caffe.onnx.graph import Operand, Tensor
from keras_caffe.onnx.losses import number
from keras_caffe.onnx.registry import writes
from keras_caffe.onnx.site import Length, Site
from keras_caffe.ops.pooling import FLT_MAX
from keras_caffe.ops.priors import columns_of, prior_boxes

Sides = Sequence[Tensor]
"""xmin, ymin, xmax, ymax of boxes"""


@writes(layers.PriorBox, layers.PriorBoxClustered, precise=True)
def prior_box(site: Site, features: Tensor, image: Tensor) -> Tensor:
    layer = site.layer
    if any(None in shape[2:] for shape in site.bottoms):
        return _open_priors(site)
    cells, size = (site.known(shape[2:], "sizes") for shape in site.bottoms)
    boxes = prior_boxes(cells, layer.img_size or size, layer.priors, layer.step, layer.offset, layer.cuts)
    boxes = keras.ops.convert_to_numpy(boxes)
    boxes = np.clip(boxes, 0, 1) if layer.clip else boxes
    variances = np.broadcast_to(np.asarray(layer.variances(), "float32"), boxes.shape)
    return site.graph.constant(np.stack([boxes, variances]).astype("float32").reshape(1, 2, -1))


def _open_priors(site: Site) -> Tensor:
    """The same where sizes are open: see `keras_caffe.ops.priors.prior_boxes`."""
    layer, cells = site.layer, site.sizes()[2:]
    image = list(layer.img_size or site.sizes(1)[2:])
    half_w, half_h, right, down, places = (np.asarray(x, "float32") for x in columns_of(layer.priors, layer.offset))
    x, y = (half_w, right, np.full_like(places, layer.offset)), (half_h, down, places)
    corners: list[Tensor] = []
    for axis, (half, shift, place) in ((1, x), (0, y)):
        count, pixels = number(site, cells[axis]), number(site, image[axis])
        step = float(layer.step[axis]) if layer.step else site.op("Div", pixels, count)
        index = site.op("Reshape", images(site, cells[axis]), [-1, 1] if axis else [-1, 1, 1])
        centre = site.op("Mul", site.op("Add", index, place), step)
        centre = site.op("Add", centre, shift) if shift.any() else centre
        low, high = (site.op("Div", site.op(type, centre, half), pixels) for type in ("Sub", "Add"))
        corners += [site.op("Max", low, 0.0), site.op("Min", high, 1.0)] if layer.cuts else [low, high]
    shape = site.vector([*cells, len(layer.priors)])
    sides = [site.op("Unsqueeze", site.op("Expand", corners[i], shape), [3]) for i in (0, 2, 1, 3)]
    boxes = site.op("Concat", *sides, axis=3)
    boxes = site.op("Clip", boxes, 0.0, 1.0) if layer.clip else boxes
    variances = site.op("Expand", np.asarray(layer.variances(), "float32"), site.op("Shape", boxes))
    rows = [site.op("Reshape", one, [1, 1, -1]) for one in (boxes, variances)]
    return site.op("Concat", *rows, axis=1)


@writes(layers.DetectionOutput, precise=True)
def detection_output(site: Site, locations: Tensor, scores: Tensor, priors: Tensor, *more: Tensor) -> Tensor:
    layer = site.layer
    own = [] if layer.objectness_score is None else more
    batch, classes = site.sizes(1)[0], layer.num_classes
    sets = 1 if layer.share_location else classes
    count = site.calculate("Div", site.sizes(2)[2], 4)
    labels = [label for label in range(classes) if label != layer.background_label_id]
    prior, variance = _priors(site, priors)
    for shift in own[1:]:
        prior = _decoded(site, site.reshape(shift, [batch, count, 1, 4]), prior, variance)
    boxes = _decoded(site, site.reshape(locations, [batch, count, sets, 4]), prior, variance)
    by_class = site.op("Transpose", site.reshape(scores, [batch, count, classes]), perm=[0, 2, 1])
    for score in own[:1]:
        by_class = _without_poor_priors(site, by_class, site.reshape(score, [batch, count, 2]))
    if len(labels) < classes:
        by_class = site.op("Gather", by_class, labels, axis=1)
        boxes = site.op("Gather", boxes, labels, axis=1) if sets > 1 else boxes
    picked, order, most = _best(site, by_class, count, layer.top_k)
    groups, every = site.calculate("Mul", batch, len(labels)), site.calculate("Mul", most, len(labels))
    sets = min(sets, len(labels))
    order = site.reshape(order, [batch, sets, every if sets == 1 else most, 1])
    order = site.op("Expand", order, [1, 1, 1, 4])
    boxes = site.op("GatherElements", boxes, order, axis=2)
    chosen = _kept(site, site.reshape(boxes, [groups, most, 4]), picked, groups, most)
    chosen, picked = (site.reshape(one, [batch, every]) for one in (chosen, picked))
    if layer.keep_top_k > -1:
        chosen = _best_of_image(site, picked, chosen, [batch, every])
    rows = _all_rows(site, picked, site.reshape(boxes, [batch, every, 4]), labels, [batch, most])
    return chosen_or_nothing(site, rows, site.op("Reshape", chosen, [-1]), batch)


def _all_rows(site: Site, scores: Tensor, boxes: Tensor, labels: Sequence[int], shape: Sequence[Length]) -> Tensor:
    """(N all, 7) rows of all (N, all) boxes that may be chosen."""
    batch, each = shape
    image = site.op("Unsqueeze", images(site, batch), [1])
    label = site.op(
        "Reshape", site.op("Expand", np.asarray(labels, "float32")[:, None], site.vector([len(labels), each])), [1, -1]
    )
    columns = [site.op("Unsqueeze", site.op("Add", one, site.op("Mul", scores, 0.0)), [2]) for one in (image, label)]
    rows = site.op("Concat", *columns, site.op("Unsqueeze", scores, [2]), boxes, axis=2)
    return site.op("Reshape", rows, [-1, 7])


def _priors(site: Site, priors: Tensor) -> Sequence[Tensor]:
    """(1, priors, 4) boxes, and their variances."""
    first = priors if site.bottoms[2][0] == 1 else site.slice(priors, 0, 0, 1)
    return tuple(site.op("Split", site.op("Reshape", first, [2, -1, 4]), [1, 1], axis=0, outputs=2))


def _without_poor_priors(site: Site, scores: Tensor, own: Tensor) -> Tensor:
    """(N, classes, priors) scores: 1 for class 0 and 0 for the others where the prior's own score is low."""
    background = np.eye(site.layer.num_classes, 1, dtype="float32")
    good = site.op("Transpose", site.slice(own, 2, 1, 2), perm=[0, 2, 1])
    return site.where(site.op("Less", good, float(site.layer.objectness_score)), background, scores)


def _decoded(site: Site, code: Tensor, prior: Tensor, variance: Tensor) -> Tensor:
    """(N, sets, priors, 4) boxes of (N, priors, sets, 4) location outputs; see `keras_caffe.ops.boxes.decode`.

    Args:
        prior, variance: of rank 3, or as this gives them.
    """
    layer = site.layer
    code = site.op("Transpose", code, perm=[0, 2, 1, 3])
    shift = code if layer.variance_encoded_in_target else site.op("Mul", code, variance)
    if layer.code_type == "CORNER":
        return site.op("Add", prior, shift)
    low, high = (site.slice(prior, -1, start, start + 2) for start in (0, 2))
    size = site.op("Sub", high, low)
    if layer.code_type == "CORNER_SIZE":
        return site.op("Add", prior, site.op("Mul", shift, site.op("Concat", size, size, axis=-1)))
    place, stretch = (site.slice(shift, 3, start, start + 2) for start in (0, 2))
    centre = site.op("Add", site.op("Mul", place, size), site.op("Div", site.op("Add", low, high), 2.0))
    half = site.op("Div", site.op("Mul", site.op("Exp", stretch), size), 2.0)
    return site.op("Concat", site.op("Sub", centre, half), site.op("Add", centre, half), axis=3)


def _best(site: Site, scores: Tensor, count: Length, top_k: int) -> tuple[Tensor, Tensor, Length]:
    """The best scores above the threshold of each class and their places, equal ones in order, then -inf; how many."""
    threshold = site.layer.confidence_threshold
    # Without a threshold Caffe's is -FLT_MAX, which keeps -inf and NaN out.
    above = site.op("Greater", scores, -FLT_MAX if threshold is None else float(threshold))
    most = count if top_k < 0 else site.calculate("Min", count, top_k)
    picked, order = top(site, site.where(above, scores, -np.inf), most, 2)
    return picked, order, most


def top(site: Site, x: Tensor, count: Length, axis: int) -> tuple[Tensor, Tensor]:
    """The greatest values and their places; of equal ones the first."""
    values, places = site.op("TopK", x, site.length(count), axis=axis, outputs=2)
    return values, places


def suppressed(site: Site, boxes: Tensor, scores: Tensor, threshold: float, most: Length) -> Tensor:
    """(M, 3) of [image, class, box]: what greedy suppression keeps, best first.

    Args:
        boxes: (images, boxes, 4).
        scores: (images, classes, boxes); what is not above 0 leaves a box out, as OpenCV takes no lower threshold.
        threshold: greatest overlap with a better box.
        most: how many are kept at most, of each image and class.
    """
    limit = np.asarray([min(threshold, 1.0)], "float32")  # Overlaps are at most 1, and engines refuse more.
    return site.op("NonMaxSuppression", boxes, scores, site.length(most), limit, np.zeros(1, "float32"))


def _kept(site: Site, boxes: Tensor, picked: Tensor, groups: Length, count: Length) -> Tensor:
    """(groups, count): 1 where suppression keeps a box, else 0."""
    if site.layer.eta < 1:
        return _kept_step_by_step(site, boxes, site.reshape(picked, [groups, count]), groups, count)
    scores = ranks(site, site.reshape(picked, [groups, 1, count]), count)
    boxes = boxes if site.layer.code_type == "CENTER_SIZE" else _apart(site, boxes, count)
    found = suppressed(site, boxes, scores, and_more(site.layer.nms_threshold), count)
    ones = site.op("Expand", 1.0, site.graph.size(found, 0))
    nothing = site.zeros([groups, count])
    return site.op("ScatterND", nothing, site.op("Gather", found, [0, 2], axis=1), ones)


def ranks(site: Site, scores: Tensor, count: Length) -> Tensor:
    """Scores that are above 0 and differ, for boxes that stand in order; -1 for those that are left out by -inf."""
    if isinstance(count, int):
        order: Operand = np.arange(1, count + 1, dtype="float32")[::-1]
    else:
        order = site.op("Sub", number(site, count), images(site, count))
    return site.where(site.op("Greater", scores, -FLT_MAX), order, -1.0)


def _apart(site: Site, boxes: Tensor, count: Length) -> Tensor:
    """(groups, boxes, 4) with boxes without area, which overlap nothing in Caffe, far away from each other.

    About such boxes engines differ, and ONNX would turn those of negative size over.
    """
    low, high = (site.slice(boxes, 2, start, start + 2) for start in (0, 2))
    area = site.op("Greater", site.reduce("ReduceMin", site.op("Sub", high, low), [2]), 0.0)
    place = site.op("Unsqueeze", site.op("Mul", site.op("Add", images(site, count), 1e5), 4.0), [1])
    return site.where(area, boxes, site.op("Add", place, np.asarray([0, 0, 1, 1], "float32")))


def and_more(threshold: float) -> float:
    """The next number: what overlaps by the threshold is kept, also by OpenVINO, which drops what equals its limit."""
    return max(float(np.nextafter(np.float32(threshold), np.float32(2))), float(np.finfo("float32").tiny))


def _kept_step_by_step(site: Site, boxes: Tensor, picked: Tensor, groups: Length, count: Length) -> Tensor:
    """The same with a threshold that shrinks by `eta` after each kept box while it is above 0.5."""
    start = site.zeros([groups, count])
    limit = site.op("Expand", float(site.layer.nms_threshold), site.vector([groups, 1]))
    places, there = images(site, count), site.cast(site.op("Greater", picked, -FLT_MAX), "float")
    with site.graph.body(3) as body:
        selected, limits, place = body.inputs
        index = site.op("Unsqueeze", site.cast(place, "int64"), [0])
        over = site.op("Greater", _overlaps(site, site.op("Gather", boxes, index, axis=1), boxes), limits)
        clash = site.reduce("ReduceMax", site.op("Mul", selected, site.cast(over, "float")), [1])
        keep = site.op("Mul", site.op("Gather", there, index, axis=1), site.op("Sub", 1.0, clash))
        here = site.cast(site.op("Equal", places, place), "float")
        shrinks = site.op("And", site.cast(keep, "bool"), site.op("Greater", limits, 0.5))
        smaller = site.op("Mul", limits, float(site.layer.eta))
        body.outputs = [site.op("Add", selected, site.op("Mul", keep, here)), site.where(shrinks, smaller, limits)]
    return str(site.op("Scan", start, limit, places, body=body, num_scan_inputs=1, outputs=2)[0])


def _overlaps(site: Site, one: Tensor, boxes: Tensor) -> Tensor:
    """(groups, boxes): intersection over union of (groups, 1, 4) with (groups, boxes, 4)."""
    low, high = (site.slice(one, 2, start, start + 2) for start in (0, 2))
    lows, highs = (site.slice(boxes, 2, start, start + 2) for start in (0, 2))
    common = _area(site, site.op("Sub", site.op("Min", high, highs), site.op("Max", low, lows)))
    both = site.op("Add", _area(site, site.op("Sub", high, low)), _area(site, site.op("Sub", highs, lows)))
    meet = site.op("Greater", common, 0.0)
    share = site.op("Div", common, site.where(meet, site.op("Sub", both, common), 1.0))
    return site.where(meet, share, 0.0)


def _area(site: Site, sides: Tensor) -> Tensor:
    """(groups, boxes): the product of (groups, boxes, 2), 0 if a side is negative."""
    return site.reduce("ReduceProd", site.op("Max", sides, 0.0), [2], keepdims=False)


def _best_of_image(site: Site, scores: Tensor, chosen: Tensor, shape: Sequence[Length]) -> Tensor:
    """`chosen`, both (N, all), with the best `keep_top_k` of each image alone."""
    batch, count = shape
    most = site.calculate("Min", count, site.layer.keep_top_k)
    _, places = top(site, site.where(site.cast(chosen, "bool"), scores, -np.inf), most, 1)
    ones = site.op("Expand", 1.0, site.vector([batch, most]))
    best = site.op("ScatterElements", site.zeros(shape), places, ones, axis=1)
    return site.op("Mul", chosen, best)


def images(site: Site, batch: Length) -> Tensor:
    """(N,) 0, 1, ... as floats."""
    if isinstance(batch, int):
        return site.graph.constant(np.arange(batch, dtype="float32"))
    limits = np.int64(0), site.op("Squeeze", batch, [0]), np.int64(1)
    return site.cast(site.op("Range", *limits), "float")


def chosen_or_nothing(site: Site, rows: Tensor, chosen: Tensor | None, batch: Length) -> Tensor:
    """(1, 1, R, 7): the chosen rows (None: all) or, if there are none, (image, -1, ...) for each image."""
    column = site.op("Unsqueeze", images(site, batch), [1])
    nothing = site.op("Pad", column, [0, 0, 0, 6], np.float32(-1))
    if chosen is None:
        chosen = site.op("Expand", 1.0, site.graph.size(rows, 0))
    any_chosen = site.op("ReduceMax", site.op("Concat", chosen, np.zeros(1, "float32"), axis=0), keepdims=1)
    none = site.op("Expand", site.op("Sub", 1.0, any_chosen), site.length(batch))
    which = site.cast(site.op("Concat", chosen, none, axis=0), "bool")
    # Not Compress, which OpenCV does not know.
    places = site.op("Squeeze", site.op("NonZero", which), [0])
    found = site.op("Gather", site.op("Concat", rows, nothing, axis=0), places, axis=0)
    return site.op("Unsqueeze", found, [0, 1])


def cells(site: Site, high: Length, wide: Length) -> Operand:
    """(H, W, 1, 2) column and row of each cell of a map."""
    if isinstance(high, int) and isinstance(wide, int):
        return np.stack(np.meshgrid(np.arange(wide), np.arange(high)), axis=-1)[:, :, None].astype("float32")
    sides = (
        site.op("Reshape", images(site, wide), [1, -1, 1, 1]),
        site.op("Reshape", images(site, high), [-1, 1, 1, 1]),
    )
    shape = site.vector([high, wide, 1, 1])
    return str(site.op("Concat", *(site.op("Expand", side, shape) for side in sides), axis=3))
