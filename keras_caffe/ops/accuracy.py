"""How Caffe counts a classification as right (accuracy_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_caffe.errors import LayerError
from keras_caffe.ops.indices import checked_labels, first_greatest, places
from keras_caffe.ops.losses import integer_labels

TIES = ("bvlc", "ssd")


def accuracy(
    scores: Any,
    labels: Any,
    *,
    weights: Any = None,
    top_k: int = 1,
    ignore_label: int | None = None,
    ties: str = "bvlc",
) -> tuple[Any, Any]:
    """Share of the places whose label is among the `top_k` best classes, and the same for each class.

    Args:
        scores: (..., K).
        labels: as many values as there are places, in their order.
        weights: what each place counts, as many values as there are places; None = 1 each.
        top_k: number of best classes to look at.
        ignore_label: places with this label do not count.
        ties: "bvlc": every class that scores as much as the true one stands before it (a true class that scores NaN is
            right); "ssd", and Caffe up to 1.0: of equal classes the later stands before, and nothing counted gives NaN.

    Returns:
        The scalar; (K,), 0 for absent classes.
    """
    classes = scores.shape[-1]
    check_top_k(top_k, classes)
    scores = ops.reshape(scores, (-1, classes))
    labels = checked_labels(ops.reshape(integer_labels(labels), (-1,)), classes, ignore_label)
    of_class = ops.equal(labels[:, None], ops.arange(classes, dtype=labels.dtype))
    member, valid = ops.cast(of_class, "float32"), ops.any(of_class, axis=-1)
    if ignore_label is not None:
        valid = valid & ops.not_equal(labels, ignore_label)
    counted = ops.cast(valid, "float32")
    if weights is not None:
        counted = counted * ops.reshape(ops.cast(weights, "float32"), (-1,))
    right = counted * ops.cast(_better(scores, labels, ties) < top_k, "float32")
    per_class = ops.sum(member * counted[:, None], axis=0)
    total, hits = ops.sum(counted), ops.sum(right)
    mean = hits / total if ties == "ssd" else ops.divide_no_nan(hits, total)
    return mean, ops.divide_no_nan(ops.sum(member * right[:, None], axis=0), per_class)


def check_top_k(top_k: int, classes: int) -> None:
    """Raises LayerError if there are fewer classes than `top_k`."""
    if top_k > classes:
        raise LayerError("top_k is beyond the number of classes", expected=f"at most {classes}", received=top_k)


def _better(scores: Any, labels: Any, ties: str) -> Any:
    """The number of classes that stand before the true one."""
    classes = scores.shape[-1]
    safe = ops.clip(labels, 0, classes - 1)[:, None]
    true = ops.take(scores, places(safe, classes))
    if ties == "bvlc":
        return ops.sum(ops.cast(scores >= true, "int32"), axis=-1) - 1
    later = safe < ops.arange(classes, dtype="int32")[None]
    return ops.sum(ops.cast((scores > true) | (ops.equal(scores, true) & later), "int32"), axis=-1)


def confusion(scores: Any, labels: Any, ignored: Sequence[int] = ()) -> Any:
    """(K, K): how many pixels of each class (row) score best for each class (column), the last of equal ones.

    Args:
        scores: (..., K).
        labels: as many values as there are places, in their order.
        ignored: labels of places that do not count.
    """
    classes = scores.shape[-1]
    scores = ops.reshape(scores, (-1, classes))
    best = classes - 1 - first_greatest(ops.flip(scores, -1), axis=-1)
    labels = ops.reshape(integer_labels(labels), (-1,))
    counted = ops.ones_like(labels, dtype="bool")
    for label in ignored:
        counted = counted & ops.not_equal(labels, label)
    labels = ops.where(counted, checked_labels(labels, classes, counted=counted), -1)
    true, found = (ops.one_hot(index, classes, dtype="float32") for index in (labels, best))
    return ops.matmul(ops.transpose(true), found)


def segmentation_scores(counts: Any) -> tuple[Any, Any, Any]:
    """Accuracy of the pixels, mean accuracy of the classes that occur, mean intersection over union of all classes."""
    right = ops.sum(counts * np.eye(counts.shape[-1], dtype="float32"), axis=1)  # `diagonal` cannot be exported
    row = ops.sum(counts, axis=1)
    union = row + ops.sum(counts, axis=0) - right
    occurs = ops.sum(ops.cast(row > 0, counts.dtype))
    by_class = ops.divide_no_nan(ops.sum(ops.divide_no_nan(right, row)), occurs)
    shared = ops.where(union > 0, ops.divide_no_nan(right, union), 1.0)
    return ops.divide_no_nan(ops.sum(right), ops.sum(row)), by_class, ops.mean(shared)
