"""The loss of YOLO v2 (eric612/MobileNet-YOLO, region_loss_layer.cpp): its errors, one for each predicted number."""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from keras_caffe.ops.indices import checked_labels, first_greatest
from keras_caffe.ops.log_softmax import log_softmax
from keras_caffe.ops.yolo import Anchors, by_anchor

AT_ONCE = 32  # truths that each box is compared with; YOLO v3's data layers give 300, mostly of zeros


class RegionScales(NamedTuple):
    """How much the parts of the error count, and the overlap from which a box is not pushed down."""

    object: float
    noobject: float
    classes: float
    coordinates: float
    threshold: float


def region_errors(
    maps: Any, labels: Any, anchors: Anchors, scales: RegionScales, *, rescore: bool, bias_match: bool
) -> Any:
    """The errors in the shape of the map; the loss is the sum of their squares over the number of images.

    Args:
        maps: (N, S, S, boxes * (5 + classes)): x, y, logarithms of width and height, objectness, classes.
        labels: (N, truths, 5): class, and x, y, width and height in parts of the image; a row of zeros ends them.
        anchors: (width, height) in cells.
        scales: see there.
        rescore: the objectness of a box is to be its overlap with the truth, and small boxes count no more than others.
        bias_match: the anchor whose size fits a truth best is the one to predict it; else the predicted size.
    """
    x = by_anchor(maps, len(anchors))
    labels = checked_truths(labels, x.shape[-1] - 5)
    u = _activated(x)
    side = ops.cast(ops.shape(x)[2], x.dtype)
    boxes = _boxes(u, side, anchors)
    truths = labels[..., 1:]
    there = truths_there(labels)
    o = u[..., 4]
    idle = ops.where(best_overlap(boxes, truths, there) > scales.threshold, 0, scales.noobject * o * o * (1 - o))
    errors = ops.concatenate([ops.zeros_like(u[..., :4]), idle[..., None], ops.zeros_like(u[..., 5:])], axis=-1)
    place, inside = _places(truths, there, boxes, side, anchors, bias_match)
    x, u, boxes, errors = (ops.reshape(t, (-1, t.shape[-1])) for t in (x, u, boxes, errors))
    chosen_x, chosen_u, box = (ops.take(t, place, axis=0) for t in (x, u, boxes))
    wanted = _assigned(chosen_x, chosen_u, box, labels, place, side, anchors, scales, rescore)
    index = ops.where(_last(place, inside), place, -1)
    hit = ops.equal(ops.reshape(index, (-1, 1)), ops.arange(ops.shape(errors)[0])[None])
    chosen = ops.matmul(ops.transpose(ops.cast(hit, wanted.dtype)), ops.reshape(wanted, (-1, wanted.shape[-1])))
    return ops.reshape(ops.where(ops.any(hit, axis=0)[:, None], chosen, errors), ops.shape(maps))


def truths_there(labels: Any) -> Any:
    """Which rows (N, truths) stand before the first row of zeros."""
    return ops.cumprod(ops.cast(ops.any(labels != 0, axis=-1), "int32"), axis=1) > 0


def checked_truths(labels: Any, classes: int) -> Any:
    """The labels; a truth of no class is refused where `checked_labels` can."""
    numbers = checked_labels(ops.cast(labels[..., 0], "int32"), classes, counted=truths_there(labels))
    return ops.concatenate([ops.cast(numbers, labels.dtype)[..., None], labels[..., 1:]], axis=-1)


def best_overlap(boxes: Any, truths: Any, there: Any) -> Any:
    """The greatest overlap of boxes (N, H, W, boxes, 4) with the truths (N, truths, 4) that are there."""
    boxes, truths, there = boxes[..., None, :], truths[:, None, None, None], there[:, None, None, None]
    count = truths.shape[-2]
    some = [slice(i, i + AT_ONCE) for i in range(0, count or 1, AT_ONCE)] if count is not None else [slice(None)]
    best = [ops.max(ops.where(there[..., n], iou(boxes, truths[..., n, :]), 0), axis=-1) for n in some]
    return best[0] if len(best) == 1 else ops.max(ops.stack(best), axis=0)


def _activated(x: Any) -> Any:
    classes = ops.exp(log_softmax(x[..., 5:]))
    return ops.concatenate([ops.sigmoid(x[..., :2]), x[..., 2:4], ops.sigmoid(x[..., 4:5]), classes], axis=-1)


def _boxes(u: Any, side: Any, anchors: Anchors) -> Any:
    """(N, S, S, boxes, 4): x, y of the middle, width and height."""
    steps = ops.arange(u.shape[1] or ops.shape(u)[1], dtype=u.dtype)
    sizes = ops.convert_to_tensor(anchors, u.dtype)
    x, y = (u[..., 0] + steps[:, None]) / side, (u[..., 1] + steps[:, None, None]) / side
    return ops.concatenate([ops.stack([x, y], axis=-1), ops.exp(u[..., 2:4]) * sizes / side], axis=-1)


def iou(a: Any, b: Any) -> Any:
    """Intersection over union of boxes (..., 4): x, y of the middle, width and height."""
    low = ops.maximum(a[..., :2] - a[..., 2:] / 2, b[..., :2] - b[..., 2:] / 2)
    high = ops.minimum(a[..., :2] + a[..., 2:] / 2, b[..., :2] + b[..., 2:] / 2)
    common = ops.prod(ops.maximum(high - low, 0), axis=-1)
    union = ops.prod(a[..., 2:], axis=-1) + ops.prod(b[..., 2:], axis=-1) - common
    return common / ops.where(union > 0, union, 1)


def _places(truths: Any, there: Any, boxes: Any, side: Any, anchors: Anchors, bias_match: bool) -> tuple[Any, Any]:
    """The predicted box of each truth as its number in the batch, (N, truths), and which of them are there."""
    cells = ops.cast(truths[..., :2] * side, "int32")
    width = ops.cast(side, "int32")
    inside = there & ops.all((cells >= 0) & (cells < width), axis=-1)
    cells = ops.maximum(ops.minimum(cells, width - 1), 0)
    images = ops.arange(ops.shape(truths)[0], dtype="int32")[:, None]
    cell = (images * width + cells[..., 1]) * width + cells[..., 0]
    if bias_match:
        sizes = ops.convert_to_tensor(anchors, truths.dtype) / side
    else:
        sizes = ops.take(ops.reshape(boxes[..., 2:], (-1, len(anchors), 2)), cell, axis=0)
    middle = ops.zeros_like(truths[..., None, :2])
    of_size = ops.concatenate([middle + ops.zeros_like(sizes), middle + sizes], axis=-1)
    overlap = iou(of_size, ops.concatenate([middle, truths[..., None, 2:]], axis=-1))
    return cell * len(anchors) + first_greatest(overlap, axis=-1), inside


def _assigned(
    x: Any, u: Any, box: Any, labels: Any, place: Any, side: Any, anchors: Anchors, scales: RegionScales, rescore: bool
) -> Any:
    """The errors of the boxes that are to predict the truths, (N, truths, 5 + classes)."""
    truths = labels[..., 1:]
    anchor = ops.take(ops.convert_to_tensor(anchors, x.dtype), place % len(anchors), axis=0)
    scale = scales.coordinates * (1 if rescore else 2 - truths[..., 2:3] * truths[..., 3:4])
    position = truths[..., :2] * side
    moved = position - ops.floor(position) - u[..., :2]
    middle = -scale * moved * u[..., :2] * (1 - u[..., :2])
    sizes = ops.log(ops.where(truths[..., 2:] > 0, truths[..., 2:], 1) * side / anchor)
    o = u[..., 4:5]
    goal = iou(box, truths)[..., None] if rescore else 1.0
    objectness = -scales.object * (goal - o) * o * (1 - o)
    classes = ops.arange(u.shape[-1] - 5, dtype="int32")
    one_hot = ops.cast(ops.equal(ops.cast(labels[..., :1], "int32"), classes), x.dtype)
    scores = -scales.classes * (one_hot - u[..., 5:])
    return ops.concatenate([middle, -scale * (sizes - x[..., 2:4]), objectness, scores], axis=-1)


def _last(place: Any, inside: Any) -> Any:
    """Which truths are the last ones of their box: a later one takes it over."""
    count = ops.arange(ops.shape(place)[1])
    later = ops.equal(place[:, :, None], place[:, None, :]) & inside[:, None, :] & (count[None, :] > count[:, None])
    return inside & ~ops.any(later, axis=-1)
