"""Correlation of two feature maps at many displacements (FlowNet2: correlation_layer.cu, correlation_layer1d.cu)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.ops.convolution import at_pixels
from keras_caffe.shapes import ceil_div


def correlation(
    a: Any,
    b: Any,
    *,
    kernel_size: int,
    origin: Sequence[int],
    stride: int,
    displacements: Sequence[Sequence[int]],
    subtract: bool = False,
) -> Any:
    """The mean over windows and channels of a b (or |a - b|), b's window displaced, for every displacement.

    Args:
        a, b: (N, H, W, C), padded, so that all windows lie inside or to the left of the map, where it counts as 0.
        kernel_size: pixels of a window along both axes.
        origin: row and column at which a's first window begins; the last one leaves as much room behind it.
        stride: pixels from one window of `a` to the next.
        displacements: of the rows, and of the columns in steps of one size.
        subtract: |a - b| in place of the product.

    Returns:
        (N, H', W', rows of displacements * columns of displacements), the columns' varying fastest
    """
    (rows, columns), compare = displacements, _differences if subtract else _products
    outside = max(0, -(origin[1] + columns[0]))
    b = ops.pad(b, [(0, 0), (0, 0), (outside, 0), (0, 0)]) if outside else b
    a, b = windows_as_channels(a, kernel_size), windows_as_channels(b, kernel_size)
    out = [ceil_div(size - 2 * first, stride) for size, first in zip(ops.shape(a)[1:3], origin, strict=True)]
    window = [_every(first, n, stride) for first, n in zip(origin, out, strict=True)]
    first = origin[1] + columns[0] + outside
    shifted = [at_pixels(b, (_every(origin[0] + row, out[0], stride),)) for row in rows]
    maps = [compare(at_pixels(a, window), part, first, stride, columns) for part in shifted]
    y = maps[0] if len(maps) == 1 else ops.concatenate(maps, axis=-1)
    return y / ops.cast(ops.shape(a)[-1], y.dtype)  # behind a Transpose of open sizes it is not known before


def windows_as_channels(x: Any, size: int) -> Any:
    """(N, H, W, C) -> (N, H - size + 1, W - size + 1, size^2 C): each window's pixels, one behind the other."""
    if size == 1:
        return x
    height, width = (n - size + 1 for n in ops.shape(x)[1:3])
    corners = [(row, column) for row in range(size) for column in range(size)]
    return ops.concatenate([x[:, row : row + height, column : column + width] for row, column in corners], axis=-1)


def _every(first: Any, count: Any, stride: int) -> slice:
    return slice(first, first + (count - 1) * stride + 1, stride)


def _products(a: Any, b: Any, first: int, stride: int, columns: Sequence[int]) -> Any:
    """Of each row all products in one matrix, whose diagonals are the displacements."""
    every = ops.einsum("nhwc,nhvc->nhwv", a, b)
    batch, height, wide, all_columns = ops.shape(every)
    # Column v of row w lies at w V + v; rows of V + stride values let v = w stride + d stand below each other.
    flat = ops.reshape(every, (batch, height, wide * all_columns))
    flat = ops.pad(flat, [(0, 0), (0, 0), (0, wide * stride)])
    skewed = ops.reshape(flat, (batch, height, wide, all_columns + stride))
    return skewed[..., first : first + columns[-1] - columns[0] + 1 : _step(columns)]


def _differences(a: Any, b: Any, first: int, stride: int, columns: Sequence[int]) -> Any:
    wide = ops.shape(a)[2]
    parts = [b[:, :, _every(first + column - columns[0], wide, stride)] for column in columns]
    return ops.stack([ops.sum(ops.abs(a - part), axis=-1) for part in parts], axis=-1)


def _step(columns: Sequence[int]) -> int:
    return columns[1] - columns[0] if len(columns) > 1 else 1
