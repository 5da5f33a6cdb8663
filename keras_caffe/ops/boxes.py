"""Boxes of the SSD fork (bbox_util.cpp). A set of boxes is a tuple of four tensors: xmin, ymin, xmax, ymax."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_caffe.ops.stock import loops_allowed

Boxes = tuple[Any, Any, Any, Any]
UNROLLED, ROUNDS = 1000, 25  # at most so many boxes are suppressed without a loop, in so many rounds at a time
CODE_TYPES = ("CORNER", "CENTER_SIZE", "CORNER_SIZE")


def first_priors(priors: Any) -> Any:
    """(2, P, 4) boxes and variances of a (1, 2, 4 P) blob; of several images those of the first."""
    return ops.reshape(priors[:1, :2], (2, -1, 4))


def split(array: Any) -> Boxes:
    """(..., 4) -> four tensors (...)."""
    return tuple(array[..., i] for i in range(4))  # type: ignore[return-value]


def area(boxes: Boxes) -> Any:
    """Width times height, 0 if a side is negative."""
    width, height = boxes[2] - boxes[0], boxes[3] - boxes[1]
    return ops.where((width < 0) | (height < 0), 0.0, width * height)


def overlap(a: Boxes, b: Boxes) -> Any:
    """Intersection over union, 0 where the boxes do not meet; the tensors broadcast."""
    width = ops.minimum(a[2], b[2]) - ops.maximum(a[0], b[0])
    height = ops.minimum(a[3], b[3]) - ops.maximum(a[1], b[1])
    common = ops.where((width > 0) & (height > 0), width * height, 0.0)
    union = area(a) + area(b) - common
    return ops.where(common > 0, common / ops.where(common > 0, union, 1.0), 0.0)


def decode(code: Boxes, priors: Boxes, variance: Any, code_type: str) -> Boxes:
    """The boxes that a network's location outputs stand for.

    Args:
        code: location outputs.
        priors: the boxes they are relative to.
        variance: four tensors that scale the code, or None where the code is already scaled.
        code_type: CORNER: offsets of the corners; CORNER_SIZE: in units of the prior's size; CENTER_SIZE: offset of the
            centre in units of the prior's size, logarithm of the size in the same units.
    """
    code = code if variance is None else tuple(c * v for c, v in zip(code, variance, strict=True))  # type: ignore[assignment]
    width, height = priors[2] - priors[0], priors[3] - priors[1]
    if code_type == "CENTER_SIZE":
        x = code[0] * width + (priors[0] + priors[2]) / 2
        y = code[1] * height + (priors[1] + priors[3]) / 2
        half_w, half_h = ops.exp(code[2]) * width / 2, ops.exp(code[3]) * height / 2
        return x - half_w, y - half_h, x + half_w, y + half_h
    unit = (width, height, width, height) if code_type == "CORNER_SIZE" else (1.0,) * 4
    return tuple(p + c * u for p, c, u in zip(priors, code, unit, strict=True))  # type: ignore[return-value]


def encode(boxes: Boxes, priors: Boxes, variance: Any, code_type: str) -> Boxes:
    """The inverse of `decode`."""
    width, height = priors[2] - priors[0], priors[3] - priors[1]
    if code_type == "CENTER_SIZE":
        x, y = (boxes[0] + boxes[2] - priors[0] - priors[2]) / 2, (boxes[1] + boxes[3] - priors[1] - priors[3]) / 2
        log_w, log_h = ops.log((boxes[2] - boxes[0]) / width), ops.log((boxes[3] - boxes[1]) / height)
        code = (x / width, y / height, log_w, log_h)
    else:
        unit = (width, height, width, height) if code_type == "CORNER_SIZE" else (1.0,) * 4
        code = tuple((b - p) / u for b, p, u in zip(boxes, priors, unit, strict=True))  # type: ignore[assignment]
    return code if variance is None else tuple(c / v for c, v in zip(code, variance, strict=True))  # type: ignore[return-value]


def nms(boxes: Boxes, valid: Any, threshold: float, eta: float = 1.0) -> Any:
    """Which boxes greedy suppression keeps: those that overlap no better kept box by more than the threshold.

    Args:
        boxes: (..., K) each, best first along the last axis.
        valid: (..., K): False leaves a box out.
        threshold: greatest overlap; where it is above 0.5 it shrinks by `eta` after each kept box.

    Returns:
        (..., K) booleans.
    """
    if valid.shape[-1] == 0:  # JAX would look into the loop, which reads a box
        return valid
    if not loops_allowed() and eta >= 1 and valid.shape[-1] <= UNROLLED:
        return _nms_in_rounds(boxes, valid, threshold)
    places = ops.arange(ops.shape(valid)[-1])
    # Boxes are sorted, so nothing valid lies behind the longest run of valid ones.
    last = ops.max(ops.where(valid, places + 1, 0), initial=0)

    def step(index: Any, selected: Any, limit: Any) -> Any:
        box = tuple(ops.take(side, ops.reshape(index, (1,)), axis=-1) for side in boxes)
        clash = ops.any(selected & (overlap(box, boxes) > limit), axis=-1, keepdims=True)
        keep = ops.take(valid, ops.reshape(index, (1,)), axis=-1) & ~clash
        if eta < 1:
            limit = ops.where(keep & (limit > 0.5), limit * eta, limit)
        return index + 1, selected | (keep & (places == index)), limit

    start = (
        ops.zeros((), "int32"),
        ops.zeros_like(valid),
        ops.full_like(valid[..., :1], threshold, dtype=boxes[0].dtype),
    )
    return ops.while_loop(lambda index, selected, limit: index < last, step, start)[1]


def _nms_in_rounds(boxes: Boxes, valid: Any, threshold: float) -> Any:
    """`nms` without a loop over values: each round leaves out what a box overlaps that the last round kept.

    After k rounds the first k boxes of any chain of overlaps are right, so as many rounds as boxes are enough.
    """
    count = valid.shape[-1]
    better = np.tril(np.ones((count, count), bool), -1)
    rows, columns = (tuple(ops.expand_dims(side, axis) for side in boxes) for axis in (-1, -2))
    clash = ops.cast((overlap(rows, columns) > threshold) & better, "float32")
    allowed = ops.cast(valid, "float32")[..., None]
    kept, rounds = allowed, _rounds(clash, allowed)
    for _ in range(math.ceil(count / ROUNDS)):
        kept = rounds([clash, allowed, kept])
    return kept[..., 0] > 0.5


def _rounds(clash: Any, allowed: Any) -> keras.Model:
    """Some rounds as one model, which is called again and again: Keras walks through a graph by recursion."""
    inputs = [keras.Input(batch_shape=x.shape, dtype="float32") for x in (clash, allowed, allowed)]
    kept = inputs[2]
    for _ in range(ROUNDS):
        kept = ops.relu(inputs[1] - ops.matmul(inputs[0], kept))
    return keras.Model(inputs, kept)
