"""Which detections hit their ground truth (weiliu89/caffe ssd, detection_evaluate_layer.cpp)."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from keras_caffe.ops.boxes import overlap, split
from keras_caffe.ops.indices import first_greatest, true_places


def evaluate_detections(
    detections: Any, truth: Any, *, classes: int, background: int, threshold: float, evaluate_difficult: bool
) -> Any:
    """Rows (-1, label, boxes of ground truth, -1, -1) for the classes, then (image, label, score, hit, miss).

    Detections stand by image and label; where the image has ground truth of that label, by falling score. Each belongs
    to the box of its image and label that it overlaps most; of those that overlap it by `threshold` the best one hits.
    What belongs to a difficult box that does not count is neither a hit nor a miss.

    Args:
        detections: (R, 7) rows (image, label, score, xmin, ymin, xmax, ymax); label -1: nothing found.
        truth: (G, 8) rows (image, label, instance, xmin, ymin, xmax, ymax, difficult); image -1: an empty row.
        classes: number of classes with the background.
        background: class without a row; -1 = none.
        threshold: least overlap, above 0.
        evaluate_difficult: whether difficult boxes count.

    Returns:
        (classes but the background + detections, 5)
    """
    truth = ops.pad(truth, ((0, 1), (0, 0)), constant_values=-1)  # At least one row, that nothing belongs to.
    there = truth[:, 0] != -1
    counts = there & (ops.ones_like(there) if evaluate_difficult else truth[:, 7] == 0)
    labels = ops.convert_to_tensor([c for c in range(classes) if c != background], truth.dtype)
    number = ops.sum(ops.cast((truth[:, 1] == labels[:, None]) & counts, truth.dtype), axis=1)
    minus = -ops.ones_like(labels)
    heads = ops.stack([minus, labels, number, minus, minus], axis=1)
    rows, same = _sorted(detections, truth)
    boxes = tuple(side[:, None] for side in split(rows[:, 3:7]))
    common = ops.where(same, overlap(boxes, split(truth[:, 3:7])), -1.0)  # type: ignore[arg-type]
    box, matches = first_greatest(common, axis=1), ops.max(common, axis=1, initial=-1) >= threshold
    counted = matches & ops.take(counts, box)
    claims = ops.cast(counted[:, None] & (box[:, None] == ops.arange(ops.shape(truth)[0], dtype=box.dtype)), "int32")
    first = ops.take_along_axis(ops.cumsum(claims, axis=0), box[:, None], axis=1)[:, 0] == 1
    hit, miss = counted & first, ~matches | (counted & ~first)
    tails = ops.concatenate([rows[:, :3], ops.cast(ops.stack([hit, miss], axis=1), rows.dtype)], axis=1)
    tails = ops.where(rows[:, :1] == -1, 0.0, tails)
    return ops.concatenate([heads, tails])


def _sorted(rows: Any, truth: Any) -> tuple[Any, Any]:
    """The detections in the order of the result, those without an image last, and which boxes each may belong to."""
    rows = ops.take(rows, true_places(rows[:, 1] != -1), axis=0)
    same = (rows[:, :1] == truth[:, 0]) & (rows[:, 1:2] == truth[:, 1]) & (truth[:, 0] != -1)
    keys = (
        ops.where(ops.any(same, axis=1), -rows[:, 2], 0),
        rows[:, 1],
        ops.where(rows[:, 0] == -1, np.inf, rows[:, 0]),
    )
    order = ops.arange(ops.shape(rows)[0], dtype="int32")
    for key in keys:
        order = ops.take(order, ops.argsort(ops.take(key, order)))
    return ops.take(rows, order, axis=0), ops.take(same, order, axis=0)
