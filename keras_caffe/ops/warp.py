"""Images looked up at coordinates between their pixels (FlowNet2: flow_warp_layer.cpp, LiteFlowNet: warp_layer.cpp)."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_caffe.ops.indices import clipped


def grid(height: Any, width: Any, dtype: Any) -> Any:
    """(height, width, 2): each pixel's column and row."""
    columns, rows = (ops.cast(ops.arange(size), dtype) for size in (width, height))
    shape = (height, width)
    return ops.stack([ops.broadcast_to(columns, shape), ops.broadcast_to(rows[:, None], shape)], axis=-1)


def warp(image: Any, places: Any) -> Any:
    """Bilinear lookup; pixels outside the image count as 0.

    Args:
        image: (N, H, W, C).
        places: (N, H, W, 2) absolute columns and rows.

    Returns:
        (N, H, W, C)
    """
    height, width = ops.shape(image)[1:3]
    column, row = places[..., 0], places[..., 1]
    wide, high = (ops.cast(size, places.dtype) for size in (width, height))
    # Elsewhere all four pixels are outside. NaN is nowhere, as in C's comparisons.
    near = (column > -1) & (column < wide) & (row > -1) & (row < high)
    columns, rows = _neighbours(column, near), _neighbours(row, near)
    total: Any = 0
    for y, share_y in rows:
        for x, share_x in columns:
            there = (x >= 0) & (x < width) & (y >= 0) & (y < height) & near
            share = ops.where(there, share_x * share_y, 0)
            total = total + _at(image, clipped(y, height - 1), clipped(x, width - 1), share, there)
    return total


def flow_warp(image: Any, flow: Any, fill: float) -> Any:
    """Bilinear lookup at each pixel's own place plus a flow; beyond the last pixel's centre that pixel goes on.

    Args:
        image: (N, H, W, C).
        flow: (N, H, W, 2) columns and rows to the right and down.
        fill: the value where that place lies outside [0, W) or [0, H).

    Returns:
        (N, H, W, C)
    """
    height, width = ops.shape(image)[1:3]
    places = grid(height, width, flow.dtype) + flow
    column, row = places[..., 0], places[..., 1]
    wide, high = (ops.cast(size, places.dtype) for size in (width, height))
    inside = (column >= 0) & (column < wide) & (row >= 0) & (row < high)
    total: Any = 0
    for y, share_y in _neighbours(row, inside):
        for x, share_x in _neighbours(column, inside):
            last_y, last_x = ops.minimum(y, height - 1), ops.minimum(x, width - 1)
            total = total + _at(image, last_y, last_x, share_x * share_y, inside)
    return ops.where(inside[..., None], total, ops.cast(fill, image.dtype))


def _neighbours(x: Any, used: Any) -> list[tuple[Any, Any]]:
    """The whole numbers below and above, each with its share; where they are not used, 0 and 1."""
    x = ops.where(used, x, 0)
    low = ops.stop_gradient(ops.floor(x))
    index, share = ops.cast(low, "int32"), x - low
    return [(index, 1 - share), (index + 1, share)]


def _at(image: Any, row: Any, column: Any, share: Any, used: Any) -> Any:
    """(N, H, W, C): the pixels at (row, column) times their share; 0 where they are not used."""
    batch, height, width, channels = ops.shape(image)
    first = ops.reshape(ops.arange(batch, dtype="int32") * (height * width), (-1, 1, 1))
    pixels = ops.take(ops.reshape(image, (-1, channels)), first + row * width + column, axis=0)
    share = ops.cast(share, image.dtype)[..., None]
    return ops.where(used[..., None], pixels, 0) * share
