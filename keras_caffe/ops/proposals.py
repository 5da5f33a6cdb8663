"""Region proposals of Faster R-CNN (py-faster-rcnn, lib/rpn; its C++ port, proposal_layer.cpp)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_caffe.ops.boxes import nms
from keras_caffe.ops.indices import places, true_places


def anchors(base: int, ratios: Sequence[float], scales: Sequence[float], rounded: Callable[..., Any]) -> np.ndarray:
    """(ratios * scales, 4) corners in pixels of the boxes around the first cell; a ratio is height by width."""
    width = rounded(np.sqrt(base * base / np.asarray(ratios, float)))
    sides = np.stack([width, rounded(width * ratios)], axis=1)
    reach = (sides[:, None] * np.asarray(scales, float)[:, None] - 1).reshape(-1, 2) / 2
    middle = (base - 1) / 2
    return np.concatenate([middle - reach, middle + reach], axis=1).astype("float32")


def pixel_anchors(base: int, ratios: Sequence[float], scales: Sequence[float]) -> np.ndarray:
    """The same with scales in pixels, as in happynear's Caffe."""
    root = np.sqrt(np.asarray(ratios, float))[:, None]
    sides = np.stack([np.asarray(scales, float) / root, np.asarray(scales, float) * root], axis=-1)
    reach, middle = np.trunc(sides - 0.5).reshape(-1, 2) / 2, (base - 1) / 2
    return np.concatenate([middle - reach, middle + reach], axis=1).astype("float32")


def proposals(
    scores: Any,
    deltas: Any,
    image: Any,
    boxes: np.ndarray,
    *,
    stride: int,
    min_size: float,
    drop_small: bool,
    pre_nms: int,
    post_nms: int,
    nms_threshold: float,
) -> tuple[Any, Any]:
    """The best regions of each image that overlap little, best first: (R, 5) rows (image, x1, y1, x2, y2), (R,) scores.

    Args:
        scores: (N, H, W, 2 A), the background's first.
        deltas: (N, H, W, 4 A): shift of the centre in units of the anchor's size, logarithm of the change in size.
        image: height, width and scale of the image (and, if there is a fourth number, the scale of the width).
        boxes: (A, 4) see `anchors`.
        stride: pixels of a cell.
        min_size: least side, in pixels before the image was scaled.
        drop_small: whether smaller regions are left out, or have the score 0.
        pre_nms, post_nms: how many are looked at, and how many are kept at most.
        nms_threshold: greatest overlap with a better region.
    """
    images, rows, columns = ops.shape(scores)[:3]
    image = ops.reshape(image, (-1,))
    y, x = (ops.arange(n, dtype="float32") * stride for n in (rows, columns))
    start = [x[None, :, None], y[:, None, None]]
    low, high = ([s + boxes[:, i + k] for k, s in enumerate(start)] for i in (0, 2))
    moved = ops.reshape(deltas, (images, rows, columns, len(boxes), 4))
    corners: tuple[list[Any], list[Any]] = ([], [])
    sizes = []
    for axis, (first, last) in enumerate(zip(low, high, strict=True)):
        size = last - first + 1
        centre = first + 0.5 * size + moved[..., axis] * size
        half = 0.5 * ops.exp(moved[..., 2 + axis]) * size
        for corner, value in zip(corners, (centre - half, centre + half), strict=True):
            corner.append(ops.reshape(ops.clip(value, 0, image[1 - axis] - 1), (images, -1)))
        sizes.append(corners[1][-1] - corners[0][-1] + 1)
    scale = (image[3] if image.shape[0] == 4 else image[2]), image[2]
    large = (sizes[0] >= min_size * scale[0]) & (sizes[1] >= min_size * scale[1])
    score = ops.reshape(scores[..., len(boxes) :], (images, -1))
    score, order = _best(ops.where(large, score, -np.inf if drop_small else 0.0), pre_nms)
    at = places(order, ops.shape(large)[1])
    edges = [ops.take(side, at) for side in (*corners[0], *corners[1])]
    # A region of pixels 3 to 3 is one pixel wide.
    chosen = nms((*edges[:2], edges[2] + 1, edges[3] + 1), score > -np.inf, nms_threshold)  # type: ignore[arg-type]
    chosen = chosen & (ops.cumsum(ops.cast(chosen, "int32"), axis=1) <= post_nms)
    number = ops.broadcast_to(ops.arange(images, dtype=score.dtype)[:, None], ops.shape(score))
    kept = true_places(ops.reshape(chosen, (-1,)))
    image_and_sides = [ops.take(ops.reshape(column, (-1,)), kept) for column in (number, *edges)]
    return ops.stack(image_and_sides, axis=1), ops.take(ops.reshape(score, (-1,)), kept)


def _best(scores: Any, count: int) -> tuple[Any, Any]:
    there = ops.shape(scores)[-1]
    return ops.top_k(scores, min(count, there) if isinstance(there, int) else ops.minimum(count, there))
