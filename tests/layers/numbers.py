"""Arrays for the tests of single layers, and the gradients of a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf


def numbers(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).normal(size=shape) + 0.1, "float32")


def gradients(layer: Any, bottoms: Sequence[np.ndarray], weights: np.ndarray) -> list[np.ndarray]:
    """Of sum(top weights), to each bottom."""
    tensors = [tf.constant(bottom) for bottom in bottoms]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        top = layer(tensors[0] if len(tensors) == 1 else tensors)
    return [np.asarray(g) for g in tape.gradient(top, tensors, tf.constant(weights))]


def normalized_by_loops(x: np.ndarray, groups: int, eps: float, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The top and the gradient of sum(top weights), group of channels by group, in float64; (N, C, ...)."""
    x, weights = x.astype(float), weights.astype(float)
    top, back = np.empty_like(x), np.empty_like(x)
    width = x.shape[1] // groups
    for n, group in np.ndindex(len(x), groups):
        at = (n, slice(group * width, (group + 1) * width))
        deviation = np.sqrt(x[at].var() + eps)
        top[at] = y = (x[at] - x[at].mean()) / deviation
        g = weights[at]
        back[at] = (g - g.mean() - (g * y).mean() * y) / deviation
    return top, back
