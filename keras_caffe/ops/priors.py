"""The prior boxes of SSD (prior_box_layer.cpp) and of its forks: those of one cell, and those of all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from keras import ops

FACEBOXES = {32: (-2, 2, 8), 64: (-1, 1, 16)}  # size: first shift, end of the shifts, their unit in pixels


class Prior(NamedTuple):
    """One box of each cell, in pixels.

    Attributes:
        width, height: its size.
        right, down: how far its centre lies from that of the other boxes.
        place: where in the cell its centre lies from top to bottom, in cells; None: where `offset` says.
    """

    width: float
    height: float
    right: float = 0.0
    down: float = 0.0
    place: float | None = None


def ssd_priors(
    min_sizes: Sequence[float], max_sizes: Sequence[float], aspect_ratios: Sequence[float], flip: bool
) -> list[Prior]:
    """SSD's boxes of a cell, in Caffe's order."""
    priors = []
    for index, least in enumerate(map(int, min_sizes)):  # Caffe keeps sizes in ints: fractions are cut off.
        greatest = int(max_sizes[index]) if max_sizes else None
        priors += _of_one_size(least, greatest, aspect_ratios, flip)
    return priors


def textboxes_priors(
    min_sizes: Sequence[float], max_sizes: Sequence[float], aspect_ratios: Sequence[float], flip: bool, whole: bool
) -> list[Prior]:
    """Each of SSD's boxes, and behind it the same around the middle of the cell's lower edge.

    Args:
        whole: fractions of sizes are cut off, as in TextBoxes++ and not in TextBoxes.
    """
    if whole:
        priors = ssd_priors(min_sizes, max_sizes, aspect_ratios, flip)
    else:
        priors = _of_one_size(min_sizes[0], max_sizes[0] if max_sizes else None, aspect_ratios, flip)
    return [copy for prior in priors for copy in (prior, prior._replace(place=1.0))]


def faceboxes_priors(
    min_sizes: Sequence[float], max_sizes: Sequence[float], aspect_ratios: Sequence[float], flip: bool
) -> list[Prior]:
    """SSD's boxes with squares one pixel smaller, that of 32 pixels 16 times and that of 64 pixels 4 times."""
    priors = []
    for index, least in enumerate(map(int, min_sizes)):
        greatest = int(max_sizes[index]) if max_sizes else None
        first, end, unit = FACEBOXES.get(least, (0, 1, 0))
        shifts = [float(unit * shift) for shift in range(first, end)]
        priors += [Prior(least - 1.0, least - 1.0, right, down) for down in shifts for right in shifts]
        priors += _of_one_size(least, greatest, aspect_ratios, flip)[1:]
    return priors


def dense_priors(
    sizes: Sequence[float],
    densities: Sequence[float],
    ratios: Sequence[float],
    aspect_ratios: Sequence[float],
    flip: bool,
) -> list[Prior]:
    """For each size and each ratio a grid of density x density boxes, from the upper left on.

    Args:
        sizes: the boxes' sizes in pixels.
        densities: for each size the boxes side by side, and one below the other.
        ratios: width over height; without any, 1 and the `aspect_ratios`.
        aspect_ratios, flip: see `ssd_priors`.
    """
    priors = []
    for size, density in zip(sizes, map(int, densities), strict=True):
        shift = int(size / density)
        places = [shift / 2 - int(size) // 2 + index * shift for index in range(density)]
        first = (float(int(size)),) * 2  # its fraction is cut off, that of the others is not
        shapes = [_of_ratio(size, r) for r in ratios] or [first, *_others(size, aspect_ratios, flip)]
        priors += [Prior(*shape, right, down) for shape in shapes for down in places for right in places]
    return priors


def _of_one_size(least: float, greatest: float | None, aspect_ratios: Sequence[float], flip: bool) -> list[Prior]:
    middle = [] if greatest is None else [(math.sqrt(least * greatest),) * 2]
    return [Prior(*shape) for shape in [(float(least),) * 2, *middle, *_others(least, aspect_ratios, flip)]]


def _others(size: float, aspect_ratios: Sequence[float], flip: bool) -> Iterator[tuple[float, float]]:
    """The shapes of all ratios other than 1."""
    return (_of_ratio(size, ratio) for ratio in distinct_ratios(aspect_ratios, flip)[1:])


def _of_ratio(size: float, ratio: float) -> tuple[float, float]:
    return size * math.sqrt(ratio), size / math.sqrt(ratio)


def distinct_ratios(aspect_ratios: Iterable[float], flip: bool) -> list[float]:
    """1, and every ratio (and its inverse) that was not there before."""
    ratios = [1.0]
    for ratio in aspect_ratios:
        if all(abs(ratio - known) >= 1e-6 for known in ratios):
            ratios += [ratio, 1 / ratio] if flip else [ratio]
    return ratios


def prior_boxes(
    cells: Sequence[Any], image: Sequence[Any], priors: Sequence[Prior], step: Any, offset: float, cut: bool = False
) -> Any:
    """(height * width * len(priors), 4) boxes in units of the image.

    Args:
        cells: height and width of the feature map.
        image: height and width of the image in pixels.
        priors: the boxes of one cell.
        step: height and width of a cell in pixels, or None: image over cells.
        offset: place of the centre in its cell, in cells.
        cut: xmin and ymin are 0 at least, xmax and ymax 1 at most.
    """
    height, width = (ops.cast(size, "float32") for size in image)
    rows, columns = (ops.cast(size, "float32") for size in cells)
    step_h, step_w = step or (height / rows, width / columns)
    half_w, half_h, right, down, place = (ops.convert_to_tensor(x, "float32") for x in columns_of(priors, offset))
    y = (ops.arange(cells[0], dtype="float32")[:, None, None] + place) * step_h + down
    x = (ops.arange(cells[1], dtype="float32")[None, :, None] + offset) * step_w + right
    nothing = ops.zeros_like(x + y)
    corners = [(x - half_w) / width, (y - half_h) / height, (x + half_w) / width, (y + half_h) / height]
    if cut:
        corners = [*(ops.maximum(low, 0) for low in corners[:2]), *(ops.minimum(high, 1) for high in corners[2:])]
    return ops.reshape(ops.stack([corner + nothing for corner in corners], axis=-1), (-1, 4))


def columns_of(priors: Sequence[Prior], offset: float) -> list[list[float]]:
    """Half the widths, half the heights, shifts to the right and down, and places from top to bottom."""
    rows = [(p.width / 2, p.height / 2, p.right, p.down, offset if p.place is None else p.place) for p in priors]
    return [list(column) for column in zip(*rows, strict=True)]
