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
        return _halved(image)
    return _stretched(image, (height, width), (height / image.shape[0], width / image.shape[1]))


def scale(image: np.ndarray, factor: float) -> np.ndarray:
    """(H, W, C) uint8, by the same factor on both axes, as cv::resize with an empty size: pixels are as far apart as
    the factor says, not as the rounded sizes would."""
    if factor == 0.5:
        return _halved(image)
    height, width = (round(size * factor) for size in image.shape[:2])  # .5 to even, as cvRound
    return _stretched(image, (height, width), (factor, factor))


def _halved(image: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels; at an odd edge that is rounded up, of those that are there."""
    odd = [round(size * 0.5) * 2 - size for size in image.shape[:2]]
    cut = image[tuple(slice(min(size, size + more)) for size, more in zip(image.shape, odd, strict=False))]
    padded = np.pad(cut, [(0, max(0, odd[0])), (0, max(0, odd[1])), (0, 0)], mode="edge")
    sums = padded.reshape(padded.shape[0] // 2, 2, padded.shape[1] // 2, 2, -1).sum((1, 3), dtype=np.uint16)
    means = ((sums + 2) >> 2).astype(np.uint8)
    for axis in (0, 1):
        if odd[axis] > 0:  # these are rounded to even
            edge = (slice(None), -1) if axis else (-1,)
            means[edge] = np.rint(sums[edge] / 4)
    return means


def _stretched(image: np.ndarray, size: tuple[int, int], factors: tuple[float, float]) -> np.ndarray:
    height, width = size
    left, right, near, far = _weights(image.shape[1], width, factors[1], True)
    columns = image[:, left].astype(np.int32)
    columns *= near[:, None]
    columns += image[:, right] * far[:, None]
    columns >>= 4
    above, below, near, far = _weights(image.shape[0], height, factors[0], False)
    rows = (columns[above] * near[:, None, None] >> 16) + (columns[below] * far[:, None, None] >> 16)
    return ((rows + 2) >> 2).astype(np.uint8)


def nearest(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """(H, W, C) -> (height, width, C): the old pixel at or before each new one, as cv::resize with INTER_NEAREST."""
    rows, columns = (
        np.minimum(np.floor(np.arange(new) * (1 / (new / size))).astype(np.int64), size - 1)
        for size, new in zip(image.shape, (height, width), strict=False)
    )
    return image[rows[:, None], columns]


def _weights(
    size: int, new: int, factor: float, whole_at_edges: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """For each new pixel of one axis: the two old ones beside it, and their weights.

    Beyond the edges both are the last pixel; OpenCV's rows are then rounded as a sum of two, its columns are not.
    """
    place = ((np.arange(new) + 0.5) * (1 / factor) - 0.5).astype(np.float32)
    first = np.floor(place).astype(np.int64)
    part = place - first.astype(np.float32)
    if whole_at_edges:
        part[(first < 0) | (first >= size - 1)] = 0
    one = np.float32(1 << BITS)
    near, far = (np.rint(weight * one).astype(np.int32) for weight in (1 - part, part))
    return first.clip(0, size - 1), (first + 1).clip(0, size - 1), near, far
