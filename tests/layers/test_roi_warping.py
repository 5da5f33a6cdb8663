"""ROIWarping against loops over the formulas of its fork, the gradients to the map and to the corners as well."""

from __future__ import annotations

import math

import numpy as np
import pytest

from keras_caffe.errors import CaffeError
from keras_caffe.layers import ROIWarping
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import tops
from tests.layers.numbers import gradients
from tests.layers.regions import regions, rounded
from tests.nets import net_with

CASES = [
    Case(
        "ROIWarping",
        ROIWarping(2, 3),
        [SHAPE, (None, 5)],
        net=net_with("ROIWarping", (2, 4, 6, 6), (3, 5), param="roi_warping_param { pooled_h: 2 pooled_w: 3 }"),
        values="formula in tests/layers/test_roi_warping.py",
        refused=[
            ({"pooled_h": 0}, "pooled_h must be a whole number of at least 1; received 0"),
            ({"pooled_w": 1.5}, "pooled_w must be a whole number"),
            ({"spatial_scale": "x"}, "spatial_scale must be a number; received 'x'"),
        ],
    )
]


def sample(place: float, size: int) -> float:
    """Where a sample is read along one axis; -1 for none."""
    return -1 if place < -0.5 or place > size - 0.5 else min(max(place, 0), size - 1)


def share(pixel: int, place: float) -> float:
    return max(0.0, 1 - abs(pixel - place))


def reach(pixel: int, start: float, end: float, bins: int) -> range:
    """The bins that the fork's gradient looks at for a pixel of a region."""
    step = max(end - start + 1, 1) / bins
    first, last = math.floor((pixel - start - 1) / step - 1), math.ceil((pixel - start + 1) / step)
    return range(min(max(first, 0), bins), min(max(last, 0), bins))


class Loops:
    """Values and gradients, region by region; x (N, H, W, C), g (R, P_h, P_w, C)."""

    def __init__(self, x: np.ndarray, rois: np.ndarray, g: np.ndarray, scale: float) -> None:
        self.x, self.g, self.scale = x.astype(float), g, scale
        self.high, self.wide = x.shape[1:3]
        self.top, self.to_map, self.to_rois = np.zeros(g.shape), np.zeros(x.shape), np.zeros(rois.shape)
        for r, roi in enumerate(rois):
            self.region(r, int(roi[0]), [rounded(float(np.float32(v) * np.float32(scale))) for v in roi[1:]])

    def region(self, r: int, image: int, corners: list[float]) -> None:
        x1, y1, x2, y2 = corners
        bins = self.g.shape[1:3]
        steps = max(y2 - y1, 0) / bins[0], max(x2 - x1, 0) / bins[1]
        for p, q in np.ndindex(*bins):
            at = sample(y1 + p * steps[0], self.high), sample(x1 + q * steps[1], self.wide)
            if -1 in at:
                continue
            self.cell(r, image, (p, q), at)
            self.back(r, image, corners, (p, q), at)
            self.corners(r, image, corners, (p, q), at)

    def cell(self, r: int, image: int, bin: tuple[int, int], at: tuple[float, float]) -> None:
        for i, j in np.ndindex(self.high, self.wide):
            self.top[(r, *bin)] += share(i, at[0]) * share(j, at[1]) * self.x[image, i, j]

    def back(self, r: int, image: int, corners: list[float], bin: tuple[int, int], at: tuple[float, float]) -> None:
        x1, y1, x2, y2 = corners
        for i, j in np.ndindex(self.high, self.wide):
            if not (y1 <= i <= y2 and x1 <= j <= x2):
                continue
            if bin[0] in reach(i, y1, y2, self.g.shape[1]) and bin[1] in reach(j, x1, x2, self.g.shape[2]):
                self.to_map[image, i, j] += share(i, at[0]) * share(j, at[1]) * self.g[(r, *bin)]

    def corners(self, r: int, image: int, corners: list[float], bin: tuple[int, int], at: tuple[float, float]) -> None:
        (i, j), (x1, y1, x2, y2) = (int(v) for v in at), corners
        if i + 1 > self.high - 1 or j + 1 > self.wide - 1:
            return
        down, over = at[0] - i, at[1] - j
        a, b, c, d = (self.x[image, i + m, j + n] for m, n in ((0, 0), (0, 1), (1, 0), (1, 1)))
        across = (1 - down) * (b - a) + down * (d - c)
        deep = (1 - over) * (c - a) + over * (d - b)
        part_x, part_y = (at[1] - x1) / max(x2 - x1 + 1, 1), (at[0] - y1) / max(y2 - y1 + 1, 1)
        weight = self.g[(r, *bin)]
        for column, slope in enumerate(
            [across * (1 - part_x), deep * (1 - part_y), across * part_x, deep * part_y], start=1
        ):
            self.to_rois[r, column] += self.scale * (slope * weight).sum()


@pytest.mark.parametrize("scale", [1.0, 0.25])
@pytest.mark.parametrize("pooled", [(1, 1), (7, 5), (2, 3)])
def test_values_and_gradients(pooled: tuple[int, int], scale: float) -> None:
    random = np.random.default_rng(pooled[0])
    x = random.normal(size=(2, 13, 17, 3)).astype("float32")
    rois = regions(9, 2, 15 / scale, seed=3)
    rois[4:, 3:] = rois[4:, 1:3] + random.uniform(0, 14, (5, 2)) / scale  # most of them are the right way round
    rois = np.asarray(rois, "float32")
    g = random.normal(size=(9, *pooled, 3)).astype("float32")
    layer, wanted = ROIWarping(*pooled, scale), Loops(x, rois, g, scale)
    np.testing.assert_allclose(layer([x, rois]), wanted.top, rtol=1e-4, atol=1e-5)
    to_map, to_rois = gradients(layer, [x, rois], g)
    np.testing.assert_allclose(to_map, wanted.to_map, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(to_rois, wanted.to_rois, rtol=1e-3, atol=1e-4)
    assert np.abs(to_rois).max() > 0


def test_a_pixel_out_of_a_bins_reach() -> None:
    """Bin 3 of 7 in a region of 14 pixels is read at 5.57, partly of pixel 5, to which the fork sends nothing back."""
    x = np.zeros((1, 1, 20, 1), "float32")
    rois, g = np.float32([[0, 0, 0, 13, 0]]), np.zeros((1, 1, 7, 1), "float32")
    g[0, 0, 3] = 1
    back = gradients(ROIWarping(1, 7), [x, rois], g)[0].ravel()
    np.testing.assert_allclose(back[[5, 6]], [0, 4 / 7], rtol=1e-6)


def test_files() -> None:
    text = 'type: "ROIWarping" roi_warping_param { %s }'
    assert tops(text % "pooled_h: 14 pooled_w: 7 spatial_scale: 0.0625", (1, 8, 9, 9), (3, 5)) == [(3, 8, 14, 7)]
    with pytest.raises(CaffeError, match="pooled_w"):
        tops(text % "pooled_h: 2", (1, 8, 9, 9), (3, 5))
