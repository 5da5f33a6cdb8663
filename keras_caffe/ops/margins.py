"""Angular margins: the score of a sample's own class is taken at a multiple of its angle (SphereFace, L-Softmax)."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_caffe.ops.indices import checked_labels
from keras_caffe.ops.losses import integer_labels, with_gradient_of

MARGINS = ("SINGLE", "DOUBLE", "TRIPLE", "QUADRUPLE")


def _signs(cos: Any) -> tuple[Any, Any, Any, Any, Any]:
    s0 = ops.sign(cos)
    s1 = ops.sign(ops.abs(cos) - 0.5)
    s3 = s0 * ops.sign(2 * ops.square(cos) - 1)
    return s0, s1, s0 * (1 + s1) - 2, s3, 2 * s0 + s3 - 3


def psi(cos: Any, margin: str) -> Any:
    """cos(m angle) on the first of m equal parts of the half circle, and its falling continuation on the others."""
    s0, s1, s2, s3, s4 = _signs(cos)
    square = ops.square(cos)
    if margin == "DOUBLE":
        return 2 * s0 * square - 1
    if margin == "TRIPLE":
        return s1 * (4 * cos * square - 3 * cos) + s2
    return s3 * (8 * square * square - 8 * square + 1) + s4


def _slopes(cos: Any, margin: str) -> tuple[Any, Any]:
    """What SphereFace multiplies w and x / |x| with in the gradient of |x| psi."""
    s0, s1, s2, s3, s4 = _signs(cos)
    square = ops.square(cos)
    if margin == "DOUBLE":
        return 4 * s0 * cos, -(2 * s0 * square + 1)
    if margin == "TRIPLE":
        return s1 * (12 * square - 3), -(8 * s1 * cos * square - s2)
    return s3 * (32 * cos * square - 16 * cos), -(s3 * (24 * square * square - 8 * square - 1) - s4)


def _length(x: Any) -> Any:
    """(N, K) -> (N, 1); the gradient of 0 is 0."""
    square = ops.sum(ops.square(x), axis=-1, keepdims=True)
    return ops.where(square > 0, ops.sqrt(ops.where(square > 0, square, 1)), 0)


def _own(scores: Any, labels: Any) -> Any:
    """True at the label of each sample."""
    labels = checked_labels(ops.reshape(integer_labels(labels), (-1,)), scores.shape[1])
    return ops.equal(labels[:, None], ops.arange(ops.shape(scores)[1], dtype="int32"))


def sphere_product(x: Any, kernel: Any, unit: Any, labels: Any, strength: Any, margin: str) -> Any:
    """x w for unit vectors w, at the label (|x| psi + lambda x w) / (1 + lambda).

    The gradient is SphereFace's: that of W is g x, and that of x has the part of psi scaled to length 1.

    Args:
        x: (M, K).
        kernel: W (N, K), which takes the gradient.
        unit: its rows with length 1, which are computed with.
        labels: M values.
        strength: lambda, which weakens the margin.
        margin: one of `MARGINS`.
    """
    fixed, unit = ops.stop_gradient(x), ops.stop_gradient(unit)
    scores = ops.matmul(x, ops.transpose(unit))
    to_kernel = ops.matmul(fixed, ops.transpose(kernel))
    to_kernel = to_kernel - ops.stop_gradient(to_kernel)
    if margin == "SINGLE":
        return scores + to_kernel
    own, length = _own(scores, labels), _length(fixed)
    plain = ops.stop_gradient(scores)
    cos = plain / length
    by_w, by_x = _slopes(cos, margin)
    by_x = by_x / length
    scale = ops.sqrt(ops.square(by_w) + ops.square(by_x))
    along = ops.sum(x * fixed, axis=-1, keepdims=True)
    bent = (length * psi(cos, margin) + strength * plain) / (1 + strength)
    slope = (strength * scores + (by_w * scores + by_x * along) / scale) / (1 + strength)
    return ops.where(own, with_gradient_of(bent, slope), scores) + to_kernel


def large_margin_product(x: Any, kernel: Any, labels: Any, strength: Any, margin: str) -> Any:
    """x w, at the label (|x| |w| psi + lambda x w) / (1 + lambda); arguments as of `sphere_product`."""
    scores = ops.matmul(x, ops.transpose(kernel))
    if margin == "SINGLE":
        return scores
    lengths = _length(x) * ops.transpose(_length(kernel))
    bent = (lengths * psi(scores / (lengths + 1e-9), margin) + strength * scores) / (1 + strength)
    return ops.where(_own(scores, labels), bent, scores)
