"""Detections of the YOLO ports (eric612/MobileNet-YOLO): one list for all classes and images of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_caffe.ops.boxes import Boxes, nms
from keras_caffe.ops.detection import chosen_or_nothing
from keras_caffe.ops.indices import first_greatest, true_places
from keras_caffe.ops.log_softmax import log_softmax

Anchors = Sequence[Sequence[float]]
"""(width, height) of the boxes of a cell"""


def yolo2_detections(maps: Sequence[Any], anchors: Anchors, *, threshold: float, nms_threshold: float) -> Any:
    """`yolo_rows` of YOLO v2: a box counts for its best class alone, the first of equal ones.

    Its score is the class's softmax times the sigmoid of the box's objectness, and must not be below the threshold.

    Args:
        maps: (N, H, W, boxes * (5 + classes)) each: x, y, logarithms of width and height, objectness, classes.
        anchors: in cells.
        threshold, nms_threshold: of the scores, and see `yolo_rows`.
    """
    boxes, scores = [], []
    for x in (by_anchor(x, len(anchors)) for x in maps):
        boxes.append(yolo_boxes(x, anchors, 1.0))
        scores.append(_flat(ops.sigmoid(x[..., 4:5]) * ops.exp(log_softmax(x[..., 5:]))))
    score = ops.concatenate(scores)
    best = ops.arange(score.shape[1]) == first_greatest(score, axis=1)[:, None]
    return yolo_rows(boxes, score, best & (score >= threshold), nms_threshold, ops.shape(maps[0])[0])


def yolo_detections(
    maps: Sequence[Any],
    anchors: Sequence[Anchors],
    scales: Sequence[float],
    *,
    threshold: float = 0.01,
    nms_threshold: float = 0.45,
    gaussian: bool = False,
) -> Any:
    """`yolo_rows` of YOLO v3: a box counts once for each class.

    Its score is the sigmoid of the class times that of the box's objectness, and must be above the threshold.

    Args:
        maps: (N, H, W, boxes * (5 + classes)) each: x, y, logarithms of width and height, objectness, classes;
            `gaussian`: an uncertainty after each of the first four.
        anchors: for each map, in pixels.
        scales: pixels to a cell of each map.
        threshold, nms_threshold: of the scores, and see `yolo_rows`.
        gaussian: the mean of 1 - sigmoid(uncertainty) multiplies the scores.
    """
    boxes, scores = [], []
    for x, sizes, scale in zip(maps, anchors, scales, strict=True):
        x = by_anchor(x, len(sizes))
        sure: Any = 1.0
        if gaussian:
            sure = ops.mean(1 - ops.sigmoid(x[..., 1:8:2]), axis=-1, keepdims=True)
            x = ops.concatenate([x[..., :8:2], x[..., 8:]], axis=-1)
        boxes.append(yolo_boxes(x, sizes, scale))
        scores.append(_flat(ops.sigmoid(x[..., 5:]) * (ops.sigmoid(x[..., 4:5]) * sure)))
    score = ops.concatenate(scores)
    return yolo_rows(boxes, score, score > threshold, nms_threshold, ops.shape(maps[0])[0])


def yolo_rows(boxes: Sequence[Boxes], scores: Any, found: Any, nms_threshold: float, images: Any) -> Any:
    """Rows (0, label from 1 on, score, xmin, ymin, xmax, ymax) by falling score; (image, -1, ...) for each if none.

    Args:
        boxes: of each map, (N, H, W, boxes) each side.
        scores: (all boxes, classes).
        found: which of them count.
        nms_threshold: a box is dropped that overlaps a better one, of any class or image, by this or more.
        images: their number.
    """
    sides = [ops.concatenate([ops.reshape(part[i], (-1,)) for part in boxes]) for i in range(4)]
    place = true_places(ops.reshape(found, (-1,)))
    box, label = place // scores.shape[1], place % scores.shape[1]
    score = ops.take(ops.reshape(scores, (-1,)), place)
    order = ops.argsort(-score)
    box, label, score = (ops.take(x, order) for x in (box, label, score))
    corners = tuple(ops.take(side, box) for side in sides)
    # Here an overlap equal to the threshold is too much.
    below = float(np.nextafter(np.float32(nms_threshold), np.float32(-1)))
    chosen = nms(corners, ops.ones_like(box, dtype="bool"), below)  # type: ignore[arg-type]
    rows = ops.stack([ops.zeros_like(score), ops.cast(label + 1, score.dtype), score, *corners], axis=-1)
    return chosen_or_nothing(rows, chosen, ops.arange(images, dtype=score.dtype))


def by_anchor(x: Any, boxes: int) -> Any:
    """(N, H, W, boxes * values) -> (N, H, W, boxes, values)."""
    return ops.reshape(x, (-1, *ops.shape(x)[1:3], boxes, x.shape[-1] // boxes))


def yolo_boxes(x: Any, anchors: Anchors, scale: float) -> Boxes:
    """The corners (N, H, W, boxes) in units of the image.

    Args:
        x: (N, H, W, boxes, values): x, y, logarithms of width and height.
        anchors: in pixels.
        scale: pixels to a cell.
    """
    high, wide = (ops.cast(n, x.dtype) for n in ops.shape(x)[1:3])
    rows, columns = (ops.arange(n, dtype=x.dtype) for n in ops.shape(x)[1:3])
    width, height = (ops.convert_to_tensor(sizes, x.dtype) for sizes in zip(*anchors, strict=True))
    middle = (columns[:, None] + ops.sigmoid(x[..., 0])) / wide, (rows[:, None, None] + ops.sigmoid(x[..., 1])) / high
    half = ops.exp(x[..., 2]) * (width / (wide * scale)) / 2, ops.exp(x[..., 3]) * (height / (high * scale)) / 2
    return middle[0] - half[0], middle[1] - half[1], middle[0] + half[0], middle[1] + half[1]


def _flat(scores: Any) -> Any:
    return ops.reshape(scores, (-1, scores.shape[-1]))
