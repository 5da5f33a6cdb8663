"""From location and class scores to detections, as the SSD fork picks them."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from keras_caffe.ops.boxes import Boxes, nms
from keras_caffe.ops.indices import places, true_places


def detections(
    boxes: Boxes,
    scores: Any,
    *,
    background: int = 0,
    threshold: float | None = None,
    nms_threshold: float = 0.3,
    eta: float = 1.0,
    top_k: int = -1,
    keep_top_k: int = -1,
) -> Any:
    """Rows (image, label, score, xmin, ymin, xmax, ymax) by image, label, falling score.

    Of each class the scores above the threshold, best first (of equal ones the earlier prior), go through `nms`; then
    the best of all classes of an image are kept. Where no image has a detection, each gets a row of -1.

    Args:
        boxes: four tensors (N, classes or 1, priors).
        scores: (N, classes, priors).
        background: class that is left out; -1 = none.
        threshold: scores must be greater; None = any.
        nms_threshold, eta: see `nms`.
        top_k: best boxes of a class to look at; -1 = all.
        keep_top_k: best boxes of an image to keep; -1 = all.

    Returns:
        (rows, 7)
    """
    labels = [c for c in range(scores.shape[1]) if c != background]
    if not labels:
        images = ops.arange(ops.shape(scores)[0], dtype=scores.dtype)
        return chosen_or_nothing(ops.zeros((0, 7), scores.dtype), ops.zeros((0,), "bool"), images)
    scores = ops.take(scores, labels, axis=1)
    if boxes[0].shape[1] != 1:
        boxes = tuple(ops.take(side, labels, axis=1) for side in boxes)  # type: ignore[assignment]
    picked, order = _best(scores, threshold, top_k)
    boxes = _in_order(boxes, order)
    chosen = nms(boxes, picked > -np.inf, nms_threshold, eta)
    if keep_top_k > -1:
        chosen = _best_of_image(picked, chosen, keep_top_k)
    return _rows(picked, boxes, chosen, labels)


def _best(scores: Any, threshold: float | None, top_k: int) -> tuple[Any, Any]:
    """The best scores above the threshold and their places, best first, equal ones in order; then -inf."""
    # Without a threshold Caffe's is -FLT_MAX, which keeps -inf and NaN out.
    above = scores > (float(np.finfo(np.float32).min) if threshold is None else threshold)
    count = priors = ops.shape(scores)[-1]
    if top_k > -1:
        count = min(top_k, priors) if isinstance(priors, int) else ops.minimum(top_k, priors)
    return ops.top_k(ops.where(above, scores, -np.inf), count)


def _in_order(boxes: Boxes, order: Any) -> Boxes:
    """The boxes (N, classes or 1, priors) at the places (N, classes, K)."""
    images, classes, count = ops.shape(order)
    _, sets, priors = ops.shape(boxes[0])
    by_set = places(ops.reshape(order, (images, sets, classes // sets * count)), priors)
    taken = ops.reshape(by_set, (images, classes, count))
    return tuple(ops.take(side, taken) for side in boxes)  # type: ignore[return-value]


def _best_of_image(scores: Any, chosen: Any, count: int) -> Any:
    shape = ops.shape(chosen)
    flat = ops.reshape(ops.where(chosen, -scores, np.inf), (shape[0], -1))
    rank = ops.argsort(ops.argsort(flat, axis=-1), axis=-1)
    return chosen & ops.reshape(rank < count, shape)


def _rows(scores: Any, boxes: Boxes, chosen: Any, labels: list[int]) -> Any:
    images = ops.arange(ops.shape(scores)[0], dtype=scores.dtype)
    columns = [images[:, None, None], ops.convert_to_tensor(labels, scores.dtype)[None, :, None], scores, *boxes]
    rows = ops.stack([column + ops.zeros_like(scores) for column in columns], axis=-1)
    return chosen_or_nothing(ops.reshape(rows, (-1, 7)), ops.reshape(chosen, (-1,)), images)


def chosen_or_nothing(rows: Any, chosen: Any, images: Any) -> Any:
    """The chosen rows; if there are none, (image, -1, ...) for each image."""
    nothing = ops.concatenate([images[:, None], ops.tile(-ops.ones_like(images)[:, None], (1, 6))], axis=-1)
    chosen = ops.concatenate([chosen, ops.broadcast_to(~ops.any(chosen), ops.shape(images))])
    return ops.take(ops.concatenate([rows, nothing]), true_places(chosen), axis=0)


def without_poor_priors(scores: Any, own: Any, least: float) -> Any:
    """The scores (N, classes, priors), 1 for class 0 and 0 for the others where the prior's own (N, priors) is low."""
    background = ops.cast(ops.arange(scores.shape[1]) == 0, scores.dtype)[:, None]
    return ops.where(own[:, None] < least, background, scores)
