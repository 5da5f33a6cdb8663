"""Regions of interest for tests of the layers that pool them."""

from __future__ import annotations

import math

import numpy as np


def regions(count: int, images: int, reach: float, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    corners = random.uniform(-0.3 * reach, 1.3 * reach, (count, 4))
    return np.concatenate([random.integers(0, images, (count, 1)), corners], 1).astype("float32")


def rounded(x: float) -> float:
    """C's round: halves go away from zero."""
    return math.copysign(math.floor(abs(x) + 0.5), x)
