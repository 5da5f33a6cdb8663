"""Where a window with context lies in its image and in the square that it is warped to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from keras_caffe.errors import DataError

F = np.float32


class Warp(NamedTuple):
    """Image rows and columns to take, the size they are warped to, and where that goes in the square."""

    rows: slice
    columns: slice
    height: int
    width: int
    top: int
    left: int


def warp(
    box: Sequence[int], image: Sequence[int], crop: int, pad: int = 0, square: bool = False, mirror: bool = False
) -> Warp:
    """The geometry of R-CNN's windows.

    Args:
        box: x1, y1, x2, y2 in pixels, both corners inside.
        image: (height, width).
        crop: side of the square.
        pad: pixels of context on each side of the square.
        square: whether the shorter side is made as long as the longer one first.
        mirror: whether the window is mirrored, and with it the space left free beside it.

    Raises:
        DataError: the window lies outside the image, or so much of it that no pixel is left after warping.
    """
    if not pad and not square:
        return _plain(box, image, crop)
    (x1, x2), (y1, y2) = _expanded(box, F(crop) / F(crop - 2 * pad), square)
    x = _axis(x1, x2, image[1], crop)
    y = _axis(y1, y2, image[0], crop)
    left = x.after if mirror else x.before
    height, width = min(y.size, crop - y.before), min(x.size, crop - left)
    if min(height, width) < 1:  # OpenCV refuses to resize to nothing
        raise DataError(
            "so little of the window is inside the image that no pixel of it is left after warping",
            expected=f"a window inside {tuple(image)}",
            received=list(box),
        )
    return Warp(y.taken, x.taken, height, width, y.before, left)


class _Axis(NamedTuple):
    taken: slice
    size: int
    before: int
    after: int


def _axis(first: int, last: int, length: int, crop: int) -> _Axis:
    """One axis: the part inside the image, its size after warping, and the space before and after it."""
    before, after = max(0, -first), max(0, last - length + 1)
    inside = slice(first + before, last - after + 1)
    if inside.stop <= inside.start:
        raise _outside([first, last], length)
    scale = F(crop) / F(last - first + 1)
    return _Axis(inside, *(_round(F(n) * scale) for n in (inside.stop - inside.start, before, after)))


def _expanded(box: Sequence[int], scale: np.float32, square: bool) -> tuple[tuple[int, int], tuple[int, int]]:
    """First and last column, first and last row of the window with its context."""
    x1, y1, x2, y2 = box
    halves = [F(x2 - x1 + 1) / F(2), F(y2 - y1 + 1) / F(2)]
    centres = [F(x1) + halves[0], F(y1) + halves[1]]
    if square:
        halves = [max(halves)] * 2
    x, y = ((_round(c - h * scale), _round(c + h * scale)) for c, h in zip(centres, halves, strict=True))
    return x, y


def _plain(box: Sequence[int], image: Sequence[int], crop: int) -> Warp:
    x1, y1, x2, y2 = box
    if not (0 <= x1 <= x2 < image[1] and 0 <= y1 <= y2 < image[0]):
        raise _outside(box, tuple(image))
    return Warp(slice(y1, y2 + 1), slice(x1, x2 + 1), crop, crop, 0, 0)


def _outside(window: Sequence[int], size: object) -> DataError:
    return DataError("the window is not inside the image", expected=f"inside {size}", received=list(window))


def _round(x: np.float32) -> int:
    """C's round: halves away from zero."""
    return int(math.copysign(math.floor(abs(x) + 0.5), x))
