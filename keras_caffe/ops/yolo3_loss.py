"""The loss of YOLO v3 (eric612/MobileNet-YOLO, yolov3_layer.cpp): its errors, one for each predicted number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from keras import ops

from keras_caffe.ops.indices import first_greatest
from keras_caffe.ops.region import best_overlap, checked_truths, iou, truths_there
from keras_caffe.ops.yolo import Anchors, by_anchor


class Yolo3Rules(NamedTuple):
    """How much the parts of the error count, the overlaps from which boxes idle or learn, how classes are learned."""

    object: float
    classes: float
    coordinates: float
    idle_overlap: float
    learn_overlap: float
    smoothing: float
    focal: bool


class Assigned(NamedTuple):
    """Of each box (N, H W boxes): whether a truth is its own, the first and the last such, and classes set later."""

    any: Any
    first: Any
    last: Any
    set_later: Any


def yolo3_errors(maps: Any, labels: Any, anchors: Anchors, mask: Sequence[int], pixels: int, rules: Yolo3Rules) -> Any:
    """The errors in the shape of the map; the loss is the sum of their squares over the number of images.

    Args:
        maps: (N, H, W, boxes * (5 + classes)): x, y, logarithms of width and height, objectness, classes.
        labels: (N, truths, 5): class, and x, y, width and height in parts of the image; a row of zeros ends them.
        anchors: (width, height) in pixels, those of other maps, too.
        mask: the numbers of this map's anchors.
        pixels: to a cell.
        rules: see there.
    """
    x = by_anchor(maps, len(mask))
    labels = checked_truths(labels, x.shape[-1] - 5)
    u = ops.concatenate([ops.sigmoid(x[..., :2]), x[..., 2:4], ops.sigmoid(x[..., 4:])], axis=-1)
    high, wide = ops.shape(x)[1:3]
    sides = ops.stack([ops.cast(wide, x.dtype), ops.cast(high, x.dtype)])
    columns, rows = ops.meshgrid(ops.arange(wide, dtype=x.dtype), ops.arange(high, dtype=x.dtype))
    corner = ops.stack([columns, rows], axis=-1)[:, :, None]
    sizes = ops.convert_to_tensor(anchors, x.dtype) / (sides * pixels)
    own = ops.take(sizes, ops.convert_to_tensor(mask, "int32"), axis=0)
    boxes = ops.concatenate([(u[..., :2] + corner) / sides, ops.exp(u[..., 2:4]) * own], axis=-1)
    best = best_overlap(boxes, labels[..., 1:], truths_there(labels))
    idle = ops.where(best > rules.idle_overlap, 0, u[..., 4])
    assigned = _assigned(labels, sizes, mask, (high, wide), rules, u.shape[-1] - 5)
    learned = _learned(x, u, labels, assigned, corner, sides, own, rules)
    idle = ops.concatenate([ops.zeros_like(u[..., :4]), idle[..., None], ops.zeros_like(u[..., 5:])], axis=-1)
    there = ops.reshape(assigned.any, ops.shape(x)[:-1])[..., None]
    return ops.reshape(ops.where(there, learned, idle), ops.shape(maps))


def logistic_slopes(maps: Any, boxes: int) -> Any:
    """The derivative of what the errors compare with: u (1 - u) of sigmoids, 1 of the sizes."""
    x = by_anchor(maps, boxes)
    u = ops.sigmoid(x)
    slopes = u * (1 - u)
    return ops.reshape(
        ops.concatenate([slopes[..., :2], ops.ones_like(x[..., 2:4]), slopes[..., 4:]], -1), ops.shape(maps)
    )


def _assigned(
    labels: Any, sizes: Any, mask: Sequence[int], map_size: tuple[Any, Any], rules: Yolo3Rules, classes: int
) -> Assigned:
    high, wide = map_size
    learn, again = _learners(labels, sizes, mask, rules)
    truths = labels[..., 1:]
    column, row = (ops.cast(truths[..., i] * ops.cast(n, labels.dtype), "int32") for i, n in enumerate((wide, high)))
    inside = truths_there(labels) & (column >= 0) & (column < wide) & (row >= 0) & (row < high)
    here = inside[..., None] & ops.equal(
        (row * wide + column)[..., None], ops.arange(high * wide)
    )  # (N, truths, cells)
    on = _by_box(here[..., None] & learn[:, :, None])
    count = ops.shape(labels)[1]
    order = ops.arange(count)
    first = ops.min(ops.where(on, order, count), axis=-1)
    later = on & (ops.less(first[..., None], order) | _by_box(here[..., None] & again[:, :, None]))
    set_later = ops.matmul(ops.cast(later, labels.dtype), _one_hot(labels[..., :1], classes)) > 0
    return Assigned(first < count, ops.minimum(first, count - 1), ops.max(ops.where(on, order, 0), axis=-1), set_later)


def _by_box(x: Any) -> Any:
    """(N, truths, cells, boxes) -> (N, cells boxes, truths)."""
    batch, truths, cells, boxes = ops.shape(x)
    return ops.reshape(ops.transpose(x, (0, 2, 3, 1)), (batch, cells * boxes, truths))


def _learners(labels: Any, sizes: Any, mask: Sequence[int], rules: Yolo3Rules) -> tuple[Any, Any]:
    """(N, truths, boxes): which boxes of its cell learn a truth, and which of them are told twice.

    The best of all anchors learns if it is among the mask's, and others above the threshold. They are told from the
    best by its place in the mask, taken for a number of an anchor, so that the best may be told twice, as in the fork.
    """
    overlaps = iou(
        ops.pad(sizes, [(0, 0), (2, 0)]), ops.pad(labels[..., None, 3:], [(0, 0), (0, 0), (0, 0), (2, 0)])
    )  # (N, truths, anchors)
    best = first_greatest(overlaps, axis=-1)[..., None]
    numbers = ops.convert_to_tensor(mask, "int32")
    is_best = ops.equal(numbers, best)
    places = ops.arange(len(mask), dtype="int32")
    place = ops.min(ops.where(is_best, places, len(mask)), axis=-1, keepdims=True)
    is_best = ops.equal(places, place)  # the first, where a mask repeats a number
    known = ops.where(place < len(mask), place, best)
    above = ops.take(overlaps, numbers, axis=-1) > rules.learn_overlap
    others = above & ops.not_equal(numbers, known) & (rules.learn_overlap < 1)
    return is_best | others, is_best & others


def _learned(
    x: Any, u: Any, labels: Any, assigned: Assigned, corner: Any, sides: Any, own: Any, rules: Yolo3Rules
) -> Any:
    """The errors as if each box learned its last truth, in the shape of x."""
    shape = ops.shape(x)
    truth, first = (ops.reshape(_rows(labels, n), (*shape[:-1], 5)) for n in (assigned.last, assigned.first))
    scale = -rules.coordinates * (2 - truth[..., 3:4] * truth[..., 4:5])
    middle = truth[..., 1:3] * sides - corner - u[..., :2]
    sizes = ops.log(ops.where(truth[..., 3:] > 0, truth[..., 3:], 1) / own) - x[..., 2:4]
    objectness = -rules.object * (1 - u[..., 4:5])
    classes, wanted = u[..., 5:], 1 - rules.smoothing / 2
    one_hot = _one_hot(first[..., :1], classes.shape[-1])
    if rules.focal:
        p = ops.sum(one_hot * classes, axis=-1, keepdims=True) + 1e-15
        errors = (one_hot - classes) * 0.5 * -(1 - p) * (2 * p * ops.log(p) + p - 1)
    else:
        errors = one_hot * (1 - rules.smoothing) + rules.smoothing / 2 - classes
    errors = ops.where(ops.reshape(assigned.set_later, ops.shape(classes)), wanted - classes, errors)
    return ops.concatenate([scale * middle, scale * sizes, objectness, -rules.classes * errors], axis=-1)


def _one_hot(numbers: Any, classes: int) -> Any:
    """(..., classes) from (..., 1); not `==`, which Keras's symbolic tensors take for identity."""
    return ops.cast(ops.equal(ops.cast(numbers, "int32"), ops.arange(classes, dtype="int32")), numbers.dtype)


def _rows(labels: Any, numbers: Any) -> Any:
    """Row `numbers` (N, boxes) of each image's labels, (N, boxes, 5)."""
    images, truths = ops.shape(labels)[:2]
    start = ops.arange(images, dtype=numbers.dtype)[:, None] * truths
    return ops.take(ops.reshape(labels, (-1, 5)), numbers + start, axis=0)
