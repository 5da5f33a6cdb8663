"""The arithmetic of Caffe's losses: one scalar for a batch. Scores have their classes on the last axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_caffe.ops import native
from keras_caffe.ops.indices import checked_labels, leading
from keras_caffe.ops.log_softmax import log_softmax
from keras_caffe.ops.rectify import relu
from keras_caffe.ops.stock import custom_gradient, eight_bits, native_ops_allowed

FLT_MIN = float(np.finfo(np.float32).tiny)
LOG_FLT_MIN = math.log(FLT_MIN)
SMALLEST = 1e-20

NORMALIZATIONS = ("FULL", "VALID", "BATCH_SIZE", "NONE")
NORMS = ("L1", "L2")


def integer_labels(labels: Any) -> Any:
    """Labels as Caffe reads them: floats truncated towards zero."""
    return ops.cast(labels, "int32")


def with_gradient_of(value: Any, surrogate: Any) -> Any:
    """`value`, whose gradient is that of `surrogate`."""
    if eight_bits():  # a file has no gradients, and in 8 bits what is 0 has no scale
        return value
    return ops.stop_gradient(value) + (surrogate - ops.stop_gradient(surrogate))


def with_only_gradient_of(value: Any, surrogate: Any) -> Any:
    """`value`, a scalar whose gradient is that of `surrogate`, whatever the loss is multiplied by."""

    @custom_gradient
    def unscaled(value: Any, surrogate: Any) -> Any:
        def gradient(*args: Any, upstream: Any = None) -> Any:
            return ops.zeros_like(value), ops.ones_like(surrogate)

        return value, gradient

    return unscaled(ops.stop_gradient(value), surrogate)


def at_label(values: Any, labels: Any) -> Any:
    """The entry of the last axis that each label names; NaN where a label is out of range (never another entry)."""
    classes = ops.arange(ops.shape(values)[-1], dtype=labels.dtype)
    hit = ops.equal(labels[..., None], classes)
    # At most one summand is not 0. Unlike a gather's, this gradient scatters nothing.
    picked = ops.sum(ops.where(hit, values, 0), axis=-1)
    return ops.where(ops.any(hit, axis=-1), picked, ops.cast(np.nan, picked.dtype))


def normalizer(normalization: str, valid: Any, batch_axes: int = 1) -> Any:
    """What a loss is divided by, at least 1 (loss_layer.cpp).

    Args:
        normalization: FULL all places, VALID those not ignored, BATCH_SIZE the product of the leading axes, NONE 1.
        valid: 1 at every place that counts and 0 at those that are ignored.
        batch_axes: number of leading axes of `valid` that make up the batch.
    """
    ones = ops.ones_like(valid)
    count = {
        "FULL": lambda: ops.sum(ones),
        "VALID": lambda: ops.sum(valid),
        "BATCH_SIZE": lambda: ops.sum(ones[(Ellipsis,) + (0,) * (len(valid.shape) - batch_axes)]),
        "NONE": lambda: ops.ones((), valid.dtype),
    }[normalization]()
    return ops.maximum(count, 1)


def softmax_loss(
    scores: Any,
    labels: Any,
    *,
    ignore_label: int | None = None,
    normalization: str = "VALID",
    batch_axes: int = 1,
    class_weighting: Sequence[float] | None = None,
) -> Any:
    """-sum over the valid places of w[label] log(max(softmax(scores)[label], FLT_MIN)), over the normaliser.

    Args:
        scores: (..., K), not softmaxed.
        labels: as many values as there are places, in their order.
        ignore_label, normalization, batch_axes: see `normalizer`, which counts places and no weights.
        class_weighting: w, one for each class; None: 1.
    """
    losses, valid = softmax_losses(scores, labels, ignore_label)
    if class_weighting is not None:
        weights = ops.convert_to_tensor(class_weighting, losses.dtype)
        of_labels = at_label(weights, ops.reshape(integer_labels(labels), ops.shape(losses)))
        losses = ops.where(valid > 0, of_labels * losses, 0)
    return ops.sum(losses) / normalizer(normalization, valid, batch_axes)


def softmax_losses(scores: Any, labels: Any, ignore_label: int | None = None) -> tuple[Any, Any]:
    """The softmax loss of each place, 0 where it is ignored; and 1 at every place that counts, else 0."""
    labels = checked_labels(ops.reshape(integer_labels(labels), ops.shape(scores)[:-1]), scores.shape[-1], ignore_label)
    valid = _valid(labels, ignore_label, scores.dtype)
    return _softmax_losses(scores, labels, valid), valid


def softmax_loss_sum(scores: Any, labels: Any, weight: Any) -> Any:
    """The softmax loss summed over the places of weight 1."""
    return ops.sum(_softmax_losses(scores, labels, weight))


def _softmax_losses(scores: Any, labels: Any, weight: Any) -> Any:
    """-log(max(p[label], FLT_MIN)) where the weight is 1, else 0. The clamp does not show in the gradient."""
    log = log_probability(scores, labels)
    return ops.where(weight > 0, -with_gradient_of(ops.maximum(log, LOG_FLT_MIN), log), 0)


def log_probability(scores: Any, labels: Any) -> Any:
    """log softmax(scores)[label]."""
    return at_label(log_softmax(scores), labels)


def focal_loss(
    scores: Any,
    labels: Any,
    *,
    gamma: float = 2.0,
    alpha: float = 1.0,
    sign: int = -1,
    ignore_label: int | None = None,
    normalization: str = "VALID",
    batch_axes: int = 1,
) -> Any:
    """-sum over the valid places of q log(max(p, FLT_MIN)), over the normaliser: q = (alpha + sign p)^gamma, p the
    label's softmax.

    Args:
        scores: (..., K), not softmaxed.
        labels: as many values as there are places, in their order.
        gamma, alpha, sign: of q; the gradient is its derivative for alpha = 1.
        ignore_label, normalization, batch_axes: see `normalizer`.
    """
    labels = checked_labels(ops.reshape(integer_labels(labels), ops.shape(scores)[:-1]), scores.shape[-1], ignore_label)
    valid = _valid(labels, ignore_label, scores.dtype)
    log = log_probability(scores, labels)
    fixed = ops.stop_gradient(log)
    p, clamped = ops.exp(fixed), ops.maximum(fixed, LOG_FLT_MIN)
    q = ops.power(alpha + sign * p, gamma)
    slope = q + sign * gamma * q / ops.maximum(1 + sign * p, 1e-10) * p * clamped
    loss = with_gradient_of(-q * clamped, -slope * log)
    return ops.sum(ops.where(valid > 0, loss, 0)) / normalizer(normalization, valid, batch_axes)


def infogain_loss(
    scores: Any,
    labels: Any,
    matrix: Any,
    *,
    ignore_label: int | None = None,
    normalization: str = "VALID",
    batch_axes: int = 1,
) -> Any:
    """-sum over the valid places and classes l of H[label, l] log(max(softmax(scores)[l], 1e-20)), over the normaliser.

    Args:
        scores: (..., K), not softmaxed.
        labels: as many values as there are places.
        matrix: H (K, K); no gradient flows into it.
    """
    classes = scores.shape[-1]
    labels = checked_labels(ops.reshape(integer_labels(labels), ops.shape(scores)[:-1]), classes, ignore_label)
    valid = _valid(labels, ignore_label, scores.dtype)
    inside = (labels >= 0) & (labels < classes)
    matrix = ops.reshape(ops.stop_gradient(ops.convert_to_tensor(matrix, scores.dtype)), (classes, classes))
    gain = ops.take(matrix, ops.where(inside, labels, 0), axis=0)
    log = log_softmax(scores)
    log = with_gradient_of(ops.maximum(log, math.log(SMALLEST)), log)
    loss = ops.where(inside, ops.sum(gain * log, axis=-1), ops.cast(np.nan, scores.dtype))
    return -ops.sum(ops.where(valid > 0, loss, 0)) / normalizer(normalization, valid, batch_axes)


def multinomial_logistic_loss(probabilities: Any, labels: Any) -> Any:
    """-sum of log(max(p[label], 1e-20)) over the batch size; the gradient is -1 / (N max(p, 1e-20)), clamped or not.

    Args:
        probabilities: (N, K).
        labels: N values.
    """
    labels = checked_labels(ops.reshape(integer_labels(labels), (-1,)), probabilities.shape[-1])
    p = at_label(probabilities, labels)
    return -ops.sum(ops.log(with_gradient_of(ops.maximum(p, SMALLEST), p))) / batch_size(probabilities)


def sigmoid_cross_entropy(
    scores: Any, targets: Any, *, ignore_label: int | None = None, normalization: str = "BATCH_SIZE"
) -> Any:
    """sum over the valid places of max(x, 0) - x t + log(1 + e^-|x|), over the normaliser.

    Args:
        scores: (N, ...), not through a sigmoid.
        targets: as many values, any real numbers; a place is ignored if its target, truncated, is `ignore_label`.
    """
    targets = ops.reshape(targets, ops.shape(scores))
    valid = _valid(integer_labels(targets), ignore_label, scores.dtype)
    loss = softplus(scores) - scores * ops.stop_gradient(targets)
    return ops.sum(ops.where(valid > 0, loss, 0)) / normalizer(normalization, valid)


def balanced_sigmoid_cross_entropy(
    scores: Any, targets: Any, negative_weight: float = 1.0, unsure_gradient: bool = True
) -> Any:
    """sum of w (max(x, 0) - x t + log(1 + e^-|x|)) / N; w is the share of zeros in the image where t is 1, and that of
    ones where t is 0. Elsewhere the loss is 0, and its gradient that of weight 1.

    Args:
        scores: (N, ...), not through a sigmoid.
        targets: as many values.
        negative_weight: factor on the w of zeros.
        unsure_gradient: False: no gradient where t is neither.
    """
    targets = ops.stop_gradient(ops.reshape(targets, ops.shape(scores)))
    one, zero = (ops.cast(ops.equal(targets, value), scores.dtype) for value in (1, 0))
    ones, zeros = (ops.sum(_rows(x), axis=1) for x in (one, zero))
    loss = softplus(scores) - scores * targets
    of_ones, of_zeros, others = (ops.sum(_rows(loss * x), axis=1) for x in (one, zero, 1 - one - zero))
    weighed = (of_ones * zeros + of_zeros * ones * negative_weight) / (ones + zeros)
    others = others if unsure_gradient else ops.zeros_like(others)
    return ops.sum(weighed + others - ops.stop_gradient(others)) / batch_size(scores)


def _rows(x: Any) -> Any:
    """(N, everything else)"""
    return ops.reshape(x, (ops.shape(x)[0], -1))


def softplus(x: Any) -> Any:
    """log(1 + e^x); in exported files by parts, as TensorFlow Lite's own is wrong from 89 on."""
    if native_ops_allowed():
        return ops.softplus(x)
    return relu(x) + ops.log(1 + ops.exp(-ops.abs(x)))


def hinge_loss(scores: Any, labels: Any, norm: str = "L1") -> Any:
    """sum over samples and classes of h (L1) or h^2 (L2) over N; h = max(0, 1 - s x), s = 1 at the label, else -1.

    Args:
        scores: (N, K).
        labels: at least N values; the first N count.
        norm: "L1" or "L2".
    """
    labels = leading(ops.reshape(labels, (-1,)), ops.shape(scores)[0])
    kernel = native.operation("HingeLoss", scores, faster=False)
    if not kernel:
        return hinge_loss_twin(scores, labels, norm)
    checked_labels(integer_labels(labels), scores.shape[-1])
    return kernel(scores=scores, labels=ops.cast(labels, "float32"), norm=norm)[0]


def hinge_loss_twin(scores: Any, labels: Any, norm: str) -> Any:
    """`hinge_loss` without its native kernel; there are N labels."""
    classes = ops.shape(scores)[-1]
    labels = checked_labels(integer_labels(labels), scores.shape[-1])
    sign = 2 * ops.one_hot(labels, classes, dtype=scores.dtype) - 1
    hinge = relu(1 - sign * scores)
    loss = ops.sum(ops.square(hinge) if norm == "L2" else hinge)
    inside = ops.all((labels >= 0) & (labels < classes))
    return ops.where(inside, loss, ops.cast(np.nan, loss.dtype)) / batch_size(scores)


@native.gradient_of("HingeLoss")
def _hinge_gradient(op: Any, upstream: Any, _: Any) -> Any:
    return upstream * op.outputs[1], None


def _valid(labels: Any, ignore_label: int | None, dtype: Any) -> Any:
    if ignore_label is None:
        return ops.ones_like(labels, dtype=dtype)
    return ops.cast(ops.not_equal(labels, ignore_label), dtype)


def batch_size(x: Any) -> Any:
    """The size of the first axis, as x's kind of number."""
    return ops.cast(ops.shape(x)[0], x.dtype)
