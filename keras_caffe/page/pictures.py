"""Arrays as pictures: maps side by side, as Caffe's notebooks show them, and PNG data for a page."""

from __future__ import annotations

import base64
import io
import math
from typing import Any

import numpy as np

from keras_caffe.errors import ShapeError
from keras_caffe.shapes import ceil_div

PAPER = 255  # between the maps


def tiled(maps: np.ndarray, *, per_map: bool = True, columns: int | None = None, gap: int = 1) -> np.ndarray:
    """Maps side by side as one picture of 8 bits.

    Args:
        maps: (K, H, W), or (K, H, W, 3) in colours.
        per_map: each map takes all shades, from its least value to its greatest (True), or all maps together (False).
        columns: how many stand in a row; default: about as many as rows.
        gap: white pixels between two maps.

    Returns:
        (height, width) or (height, width, 3), uint8. NaN and infinities are black.

    Raises:
        ShapeError: these are no maps.
    """
    if maps.ndim not in (3, 4) or (maps.ndim == 4 and maps.shape[-1] != 3):
        raise ShapeError("these are no maps", expected="(K, H, W) or (K, H, W, 3)", received=maps.shape)
    count, height, width = maps.shape[:3]
    columns = max(1, min(count, columns or math.ceil(math.sqrt(count * max(height, 1) / max(width, 1)))))
    rows = ceil_div(count, columns)
    cell = (height + gap, width + gap)
    sheet = np.full((rows * columns, *cell, *maps.shape[3:]), PAPER, np.uint8)
    sheet[:count, :height, :width] = shades(maps, per_map)
    sheet = sheet.reshape(rows, columns, *cell, *maps.shape[3:]).swapaxes(1, 2)
    picture = sheet.reshape(rows * cell[0], columns * cell[1], *maps.shape[3:])
    return picture[: rows * cell[0] - gap, : columns * cell[1] - gap]


def shades(maps: np.ndarray, per_map: bool = True) -> np.ndarray:
    """Values as 0 to 255, stretched over each map or over all of them; a map of one value is grey."""
    maps = maps.astype("float64", copy=False)  # in which the greatest float32 less the least is no infinity
    finite = np.isfinite(maps)
    axes = tuple(range(1, maps.ndim)) if per_map else None
    low = np.min(maps, axis=axes, keepdims=True, where=finite, initial=np.inf)
    high = np.max(maps, axis=axes, keepdims=True, where=finite, initial=-np.inf)
    span = np.subtract(high, low, out=np.ones_like(high), where=high > low)
    stretched = np.where(finite, (np.where(finite, maps, 0) - np.where(np.isfinite(low), low, 0)) / span, 0)
    return np.where((high > low) | ~finite, stretched * 255, 128).astype(np.uint8)


def thinned(maps: np.ndarray, pixels: int, most: int) -> np.ndarray:
    """At most `most` of the maps (K, H, W), with pixels left out until all together have about `pixels`."""
    maps = maps[:most]
    step = max(1, math.ceil(math.sqrt(maps.size / pixels)))
    return maps[:, ::step, ::step]


def planes(array: np.ndarray) -> np.ndarray:
    """A blob of one image, of any number of axes, as maps (K, H, W)."""
    if array.ndim < 2:
        return array.reshape(1, 1, -1)
    return array.reshape(-1, *array.shape[-2:])


def filter_maps(weights: np.ndarray) -> np.ndarray:
    """A layer's weights in Caffe's order as maps: colour pictures where there are three inputs, else planes.

    (out, 3, h, w) -> (out, h, w, 3), red first as Caffe's nets take blue first; others -> (K, h, w).
    """
    if weights.ndim == 4 and weights.shape[1] == 3:
        return weights[:, ::-1].transpose(0, 2, 3, 1)
    return planes(weights)


def png(pixels: np.ndarray) -> str:
    """A picture of 8 bits, grey or colour, as a `data:` address."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG", optimize=pixels.size < 1 << 16)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def upright(picture: np.ndarray) -> np.ndarray:
    """(C, H, W), blue first -> (H, W, 3) uint8, red first; values beyond 0 to 255 are stretched to them."""
    values: Any = np.nan_to_num(picture[::-1] if len(picture) == 3 else np.repeat(picture[:1], 3, 0)).transpose(1, 2, 0)
    if values.min(initial=0) < 0 or values.max(initial=0) > 255 or values.max(initial=0) <= 1:
        return shades(values[None], per_map=False)[0]
    return values.astype(np.uint8)
