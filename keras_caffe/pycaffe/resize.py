"""Bilinear interpolation as pycaffe gets it from scikit-image and SciPy, without them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_caffe.errors import DataError, ShapeError


def resize_image(im: np.ndarray, new_dims: Sequence[int] | np.ndarray, interp_order: int = 1) -> np.ndarray:
    """Resizes an image.

    With 1 or 3 channels pixels are squares, and outside the image lies its smallest value; with other numbers of
    channels the corner pixels' centres stay where they are. There is no smoothing when the image gets smaller.

    Args:
        im: (H, W, C), or (H, W, C, L) of a clip of L images.
        new_dims: (height, width).
        interp_order: 1 bilinear, 0 nearest pixel, 2 to 5 splines, for which SciPy is needed.

    Returns:
        (height, width, C) or (height, width, C, L), float32.

    Raises:
        ShapeError: neither (H, W, C) nor (H, W, C, L), or another order. DataError: SciPy is missing.

    Caffe: python/caffe/io.py
    """
    im = np.asarray(im)
    if im.ndim == 4:
        return np.stack([resize_image(im[..., i], new_dims, interp_order) for i in range(im.shape[3])], axis=3)
    if im.ndim != 3 or interp_order not in range(6):
        raise ShapeError(
            "resize_image takes images (H, W, C) and interp_order 0 to 5",
            received=f"an array of shape {im.shape} and interp_order {interp_order}",
        )
    height, width = (int(size) for size in new_dims)
    squares = im.shape[2] in (1, 3)
    if interp_order > 1:
        return _splines(im, (height, width), squares, interp_order)
    rows, columns = (
        _matrix(old, new, squares, interp_order) for old, new in zip(im.shape[:2], (height, width), strict=True)
    )
    lowest = im.min() if squares else 0
    values = im.astype(np.float64) - lowest
    resized = np.einsum("yh,hwc,xw->yxc", rows, values, columns, optimize=True) + lowest
    return resized.astype(np.float32)


def _splines(im: np.ndarray, size: tuple[int, int], squares: bool, order: int) -> np.ndarray:
    """(height, width, C) by splines through the pixels; of squares no value leaves the range of the image's."""
    try:
        from scipy.ndimage import zoom
    except ImportError:
        fix = "Install it with `pip install 'keras-caffe[images]'`, or take interp_order 0 or 1."
        raise DataError("interp_order 2 to 5 needs SciPy", fix=fix) from None
    factors = (size[0] / im.shape[0], size[1] / im.shape[1], 1)
    if not squares:
        return zoom(im.astype(np.float64), factors, order=order).astype(np.float32)
    lowest, highest = float(im.min()), float(im.max())
    resized = zoom(im.astype(np.float64) - lowest, factors, order=order, mode="grid-constant", grid_mode=True)
    return np.clip(resized + lowest, lowest, highest).astype(np.float32)


def _matrix(old: int, new: int, squares: bool, order: int) -> np.ndarray:
    """(new, old) weights of the old pixels for the new ones along one axis."""
    place = np.arange(new, dtype=np.float64)
    if squares:
        place = (place + 0.5) * old / new - 0.5
    else:
        place = place * (old - 1) / max(new - 1, 1)
    if order == 0:
        place = np.clip(np.rint(place), 0, old - 1)
    before = np.floor(place).astype(int)
    after = place - before
    matrix = np.zeros((new, old))
    for index, weight in ((before, 1 - after), (before + 1, after)):
        inside = (0 <= index) & (index < old)
        matrix[np.flatnonzero(inside), index[inside]] += weight[inside]
    return matrix
