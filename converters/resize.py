"""OpenCV's bilinear resize of 8-bit images, in its own whole numbers (cv::resize with INTER_LINEAR)."""

from __future__ import annotations

import numpy as np

BITS = 11  # of the weights: 2048 stands for 1


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """(H, W, C) uint8 -> (height, width, C) uint8, without anti-aliasing, bit for bit as OpenCV.

    Pixel centres lie at halves. Half the size on both axes is the mean of 2 x 2 pixels, as OpenCV decides too.
    """
    if image.shape[:2] == (height, width):
        return np.ascontiguousarray(image)
    if image.shape[:2] == (2 * height, 2 * width):
        blocks = image.reshape(height, 2, width, 2, -1).astype(np.uint16)
        return ((blocks.sum((1, 3), dtype=np.uint16) + 2) >> 2).astype(np.uint8)
    left, right, near, far = _weights(image.shape[1], width, True)
    columns = image[:, left].astype(np.int32)
    columns *= near[:, None]
    columns += image[:, right] * far[:, None]
    columns >>= 4
    above, below, near, far = _weights(image.shape[0], height, False)
    rows = (columns[above] * near[:, None, None] >> 16) + (columns[below] * far[:, None, None] >> 16)
    return ((rows + 2) >> 2).astype(np.uint8)


def nearest(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """(H, W, C) -> (height, width, C): the old pixel at or before each new one, as cv::resize with INTER_NEAREST."""
    rows, columns = (
        np.minimum(np.floor(np.arange(new) * (1 / (new / size))).astype(np.int64), size - 1)
        for size, new in zip(image.shape, (height, width), strict=False)
    )
    return image[rows[:, None], columns]


def _weights(size: int, new: int, whole_at_edges: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """For each new pixel of one axis: the two old ones beside it, and their weights.

    Beyond the edges both are the last pixel; OpenCV's rows are then rounded as a sum of two, its columns are not.
    """
    place = ((np.arange(new) + 0.5) * (1 / (new / size)) - 0.5).astype(np.float32)
    first = np.floor(place).astype(np.int64)
    part = place - first.astype(np.float32)
    if whole_at_edges:
        part[(first < 0) | (first >= size - 1)] = 0
    one = np.float32(1 << BITS)
    near, far = (np.rint(weight * one).astype(np.int32) for weight in (1 - part, part))
    return first.clip(0, size - 1), (first + 1).clip(0, size - 1), near, far
