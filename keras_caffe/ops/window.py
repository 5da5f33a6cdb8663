"""One image's window, transformed into memory of the caller's by a plain function of the native library."""

from __future__ import annotations

import ctypes

import numpy as np

from keras_caffe.ops import native

FUNCTION = "keras_caffe_transform_window"


class _Window(ctypes.Structure):
    """KerasCaffeWindow in ops/pixel_batch/pixel_batch.h."""

    _fields_ = (
        ("pixels", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("channel", "row", "column")),
        ("mean", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("mean_plane", "mean_row")),
        ("out", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("channels", "height", "width")),
        ("scale", ctypes.c_float),
        *((name, ctypes.c_int32) for name in ("mirror", "channels_last")),
    )


def in_one_pass() -> bool:
    """Whether `transform_window` does what it is asked for."""
    return native.plain_function(FUNCTION) is not None


def transform_window(
    window: np.ndarray, below: np.ndarray | None, out: np.ndarray, *, mirror: bool, scale: float, last: bool
) -> bool:
    """Writes (window - mean) scale, mirrored or not, in one pass; its twin is `Augment.apply`'s NumPy.

    Args:
        window: (C, h, w), in memory in any order.
        below: the float32 mean in the order of `out` and mirrored as it is, with its rows in one piece; 1 on the axes
            of planes and rows stands for all of them. None for no mean.
        out: float32 (C, h, w), or (h, w, C) if `last`, in one piece.
        mirror: whether the columns are reversed.
        scale: factor.
        last: whether channels lie last in `out`.

    Returns:
        Whether it did: False without the native library, for what is not of 8 bits, and where shapes do not fit or
        `out` is in pieces: NumPy makes of it what it can.
    """
    function = native.plain_function(FUNCTION)
    if function is None or window.dtype != np.uint8 or not _fit(window, below, out, last):
        return False
    mean, *steps = (None, 0, 0) if below is None else _steps(below, 0 if last else 1)
    place = window.ctypes.data, *window.strides, mean, *steps, out.ctypes.data, *window.shape
    function(ctypes.byref(_Window(*place, scale, mirror, last)))
    return True


def _fit(window: np.ndarray, below: np.ndarray | None, out: np.ndarray, last: bool) -> bool:
    """Whether the function, which checks nothing, stays within the arrays."""
    if window.ndim != 3 or (below is not None and below.ndim != 3):
        return False
    channels, *size = window.shape
    if {array.dtype for array in (out, below) if array is not None} != {np.dtype("float32")}:
        return False
    if out.shape != ((*size, channels) if last else window.shape) or not out.flags.c_contiguous:
        return False
    if below is None:
        return True
    row = 1 if last else 2  # the first of the axes that make up a row, which lies in one piece
    heads = zip(below.shape[:row], out.shape[:row], strict=True)
    whole_rows = below.shape[row:] == out.shape[row:] and below[(0,) * row].flags.c_contiguous
    return whole_rows and all(a in (1, b) for a, b in heads)


def _steps(below: np.ndarray, rows: int) -> tuple[int, int, int]:
    """Where a mean lies, and how many values its planes and its rows are apart."""
    apart = [
        stride // below.itemsize if size > 1 else 0 for stride, size in zip(below.strides, below.shape, strict=True)
    ]
    return below.ctypes.data, apart[0] if rows else 0, apart[rows]
