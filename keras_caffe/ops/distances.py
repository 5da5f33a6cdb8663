"""Lengths, and the arithmetic of Caffe's losses on distances: one scalar for a batch."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from keras_caffe.ops.indices import checked_labels, leading
from keras_caffe.ops.losses import batch_size, integer_labels, with_gradient_of
from keras_caffe.ops.rectify import relu
from keras_caffe.ops.stock import custom_gradient


def channel_norm(x: Any) -> Any:
    """sqrt(sum of x^2 over the last axis, kept as 1); the gradient is x / (that + 1e-9), as FlowNet2 divides."""

    @custom_gradient
    def norm(x: Any) -> Any:
        y = ops.sqrt(ops.sum(ops.square(x), axis=-1, keepdims=True))

        def gradient(*args: Any, upstream: Any = None) -> Any:
            upstream = args[0] if upstream is None else upstream
            return upstream * (x / (y + 1e-9))

        return y, gradient

    return norm(x)


def euclidean_loss(a: Any, b: Any) -> Any:
    """sum (a - b)^2 / (2 N), N the size of the first axis; both sides get a gradient."""
    return ops.sum(ops.square(a - ops.reshape(b, ops.shape(a)))) / (2 * batch_size(a))


def l1_loss(difference: Any, *, count: Any, plateau: float = 0.0, sign_of_zero: int = -1) -> Any:
    """sum |d| / count, without values below the plateau and their gradient.

    Args:
        difference: d.
        count: what the sum is divided by.
        sign_of_zero: the gradient of |d| at 0.
    """
    size = ops.abs(difference)
    sign = ops.where(difference > 0, 1, ops.where(difference < 0, -1, sign_of_zero))
    # The size is the product of d and its sign, which is a constant to the gradient.
    loss = ops.where(size < plateau, 0, difference * ops.cast(sign, difference.dtype))
    return ops.sum(loss) / count


def l2_per_location_loss(
    difference: Any, *, count: Any, plateau: float = 0.0, epsilon: float = 1e-2, mean: bool = False
) -> Any:
    """sum over places of sqrt(s + epsilon) / count, s the sum (or mean) of d^2 over channels, 0 below plateau^2.

    Args:
        difference: d, (N, C, ...).
    """
    squared = (ops.mean if mean else ops.sum)(ops.square(difference), axis=1)
    return ops.sum(ops.sqrt(ops.where(squared < plateau * plateau, 0, squared) + epsilon)) / count


def contrastive_loss(a: Any, b: Any, similar: Any, *, margin: float = 1.0, legacy_version: bool = False) -> Any:
    """sum over pairs of d^2 where similar, else max(margin - d, 0)^2 (legacy: max(margin - d^2, 0)); over 2 N.

    Args:
        a, b: (N, C) features; d is their distance.
        similar: at least N values; truncated, 0 means dissimilar.
        margin: distance beyond which dissimilar pairs cost nothing.
    """
    squared = ops.sum(ops.square(a - b), axis=-1)
    similar = ops.not_equal(leading(ops.reshape(integer_labels(similar), (-1,)), ops.shape(a)[0]), 0)
    if legacy_version:
        apart = relu(margin - squared)
    else:
        # Caffe divides by d + 1e-4 in the gradient, so it stays finite for equal pairs.
        distance = ops.sqrt(ops.stop_gradient(squared))
        missing = relu(margin - distance)
        apart = with_gradient_of(ops.square(missing), -missing / (distance + 1e-4) * squared)
    return ops.sum(ops.where(similar, squared, apart)) / (2 * batch_size(a))


def triplet_loss(a: Any, p: Any, n: Any, *, margin: float = 1.0) -> Any:
    """sum of max(0, margin + |a - p|^2 - |a - n|^2) over 2 N; a, p and n are (N, C)."""
    near, far = (ops.sum(ops.square(a - other), axis=-1) for other in (p, n))
    return ops.sum(relu(margin + near - far)) / (2 * batch_size(a))


def smooth_l1(difference: Any, sigma: float = 1.0) -> Any:
    """(sigma d)^2 / 2 where |d| < 1 / sigma^2, else |d| - 1 / (2 sigma^2), element by element."""
    scale = sigma * sigma
    size, limit = ops.abs(difference), 1 / scale if scale else np.inf
    return ops.where(size < limit, 0.5 * scale * ops.square(difference), size - 0.5 * limit)


def smooth_l1_loss(
    a: Any, b: Any, inside: Any = None, outside: Any = None, *, sigma: float = 1.0, weigh_gradient: bool = True
) -> Any:
    """sum outside smooth_l1(inside (a - b)) / N.

    Args:
        inside, outside: weights of a's shape, or None for 1.
        sigma: see `smooth_l1`.
        weigh_gradient: False leaves `inside` out of the gradient, as the SSD fork does.
    """
    loss = smooth_l1(weighted_difference(a, b, inside, weigh_gradient), sigma)
    if outside is not None:
        loss = loss * ops.reshape(ops.stop_gradient(outside), ops.shape(a))
    return ops.sum(loss) / batch_size(a)


def weighted_difference(a: Any, b: Any, weights: Any = None, weigh_gradient: bool = True) -> Any:
    """weights (a - b), all as many values; `weigh_gradient` False leaves the weights out of the gradient."""
    difference = a - ops.reshape(b, ops.shape(a))
    if weights is None:
        return difference
    weighted = ops.reshape(ops.stop_gradient(weights), ops.shape(a)) * difference
    return weighted if weigh_gradient else with_gradient_of(weighted, difference)


def center_loss(features: Any, centers: Any, labels: Any) -> Any:
    """sum |x - c[label]|^2 / (2 N).

    The gradient of a center is sum (c - x) / (1 + count) over its samples, whatever the loss weight: with a learning
    rate it is the running update of the centers.

    Args:
        features: (N, K).
        centers: (classes, K).
        labels: N values.
    """
    classes = centers.shape[0]
    labels = checked_labels(leading(ops.reshape(integer_labels(labels), (-1,)), ops.shape(features)[0]), classes)
    inside = ops.all((labels >= 0) & (labels < classes))
    member = ops.one_hot(labels, classes, dtype=features.dtype)

    @custom_gradient
    def loss(features: Any, centers: Any) -> Any:
        apart = features - ops.matmul(member, centers)
        count = ops.cast(ops.shape(features)[0], features.dtype)

        def gradient(*args: Any, upstream: Any = None) -> Any:
            upstream = args[0] if upstream is None else upstream
            update = -ops.matmul(ops.transpose(member), apart) / (1 + ops.sum(member, axis=0))[:, None]
            return upstream * apart / count, update

        return ops.sum(ops.square(apart)) / (2 * count), gradient

    # A custom gradient must be given a tensor: a variable it would hold on to.
    return ops.where(inside, loss(features, centers + 0.0), ops.cast(np.nan, features.dtype))
