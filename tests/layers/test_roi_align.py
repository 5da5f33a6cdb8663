"""ROIAlign against plain loops over samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe.layers import ROIAlign
from tests.layers.cases import SHAPE, Case
from tests.layers.regions import regions
from tests.nets import net_with

CASES = [
    Case(
        "ROIAlign",
        ROIAlign(pooled_h=2, pooled_w=3),
        [SHAPE, (None, 5)],
        net=net_with("ROIAlign", (2, 4, 6, 6), (3, 5), param="roi_align_param { pooled_h: 2 pooled_w: 3 }"),
        values="formula in tests/layers/test_roi_align.py",
    ),
]


def sample(x: np.ndarray, at_y: float, at_x: float) -> np.ndarray:
    """Bilinear value of (H, W, C) with the border repeated for one pixel."""
    high, wide = x.shape[:2]
    if at_y < -1 or at_y > high or at_x < -1 or at_x > wide:
        return np.zeros(x.shape[-1])
    at_y, at_x = min(max(at_y, 0), high - 1), min(max(at_x, 0), wide - 1)
    top, left = int(at_y), int(at_x)
    bottom, right = min(top + 1, high - 1), min(left + 1, wide - 1)
    down, over = at_y - top, at_x - left
    upper = (1 - over) * x[top, left] + over * x[top, right]
    lower = (1 - over) * x[bottom, left] + over * x[bottom, right]
    return (1 - down) * upper + down * lower


def by_loops(x: np.ndarray, rois: np.ndarray, pooled: tuple[int, int], scale: float, ratio: int) -> np.ndarray:
    top = np.zeros((len(rois), *pooled, x.shape[-1]))
    for r, roi in enumerate(rois):
        x1, y1, x2, y2 = roi[1:] * scale
        step_h, step_w = max(y2 - y1, 1) / pooled[0], max(x2 - x1, 1) / pooled[1]
        n_h, n_w = (ratio, ratio) if ratio > 0 else (math.ceil(step_h), math.ceil(step_w))
        for i, j, a, b in np.ndindex(*pooled, n_h, n_w):
            y, z = y1 + i * step_h + (a + 0.5) * step_h / n_h, x1 + j * step_w + (b + 0.5) * step_w / n_w
            top[r, i, j] += sample(x[int(roi[0])], y, z) / (n_h * n_w)
    return top


@pytest.mark.parametrize("ratio", [-1, 2])
@pytest.mark.parametrize("pooled", [(1, 1), (3, 2)])
def test_equals_plain_loops(pooled: tuple[int, int], ratio: int) -> None:
    x = np.random.default_rng(1).standard_normal((2, 13, 17, 3)).astype("float32")
    rois = regions(9, 2, 64)
    layer = ROIAlign(pooled_h=pooled[0], pooled_w=pooled[1], spatial_scale=0.25, sampling_ratio=ratio)
    want = by_loops(x, rois, pooled, 0.25, ratio)
    np.testing.assert_allclose(layer([x, rois]), want, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(tf.function(layer)([x, rois]), want, rtol=1e-4, atol=1e-5)


def test_gradient() -> None:
    """Linear in x: the gradient is the sum of the samples' weights."""
    x, rois = tf.Variable(tf.random.stateless_normal((1, 6, 7, 1), (1, 2))), regions(3, 1, 6)
    layer = ROIAlign(pooled_h=2, pooled_w=2)
    with tf.GradientTape() as tape:
        top = layer([x, rois])
        total = tf.reduce_sum(top)
    gradient = tf.convert_to_tensor(tape.gradient(total, x))
    np.testing.assert_allclose(tf.reduce_sum(gradient * x), total, rtol=1e-5)
