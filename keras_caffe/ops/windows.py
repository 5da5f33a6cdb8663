"""Where the maximum lies in many windows of different sizes, by a table of maxima of blocks of 1, 2, 4, ... pixels."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_caffe.shapes import ceil_div

LEVELS = 4  # Blocks of up to 2^3 pixels per axis; larger windows are covered by several of the largest blocks.

Block = tuple[Any, Any]  # maxima and their indices


def first_maximum(x: Any, images: Any, rows: Any, columns: Any) -> Any:
    """The index n H W + h W + w of each window's first maximum in row-major order; -1 in an empty window.

    Args:
        x: (N, H, W, C).
        images: (R,) which image a window looks at.
        rows: (start, end), each (R, P): P ranges of rows.
        columns: (start, end), each (R, Q): Q ranges of columns.

    Returns:
        (R, P, Q, C) int32
    """
    (count, high, wide), channels = ops.shape(x)[:3], x.shape[-1]
    maxima, indices = _table(x, count, high, wide)
    row_level, row_covers = _level(rows)
    column_level, column_covers = _level(columns)
    level = row_level[:, :, None] * LEVELS + column_level[:, None, :]
    base = (level * count + images[:, None, None]) * high
    empty = (rows[0] >= rows[1])[:, :, None] | (columns[0] >= columns[1])[:, None, :]

    def visit(k: Any, best: Any, where: Any) -> tuple[Any, Any, Any]:
        h, w = _origin(rows, row_level, k // column_covers), _origin(columns, column_level, k % column_covers)
        at = ops.reshape((base + h[:, :, None]) * wide + w[:, None, :], (-1,))
        shape = ops.shape(best)
        seen = (ops.reshape(ops.take(table, at, axis=0), shape) for table in (maxima, indices))
        return (k + 1, *_larger((best, where), tuple(seen)))

    shape = (ops.shape(images)[0], rows[0].shape[1], columns[0].shape[1], channels)
    start = (0, ops.full(shape, -float("inf"), x.dtype), ops.full(shape, count * high * wide, "int32"))
    _, _, where = ops.while_loop(lambda k, *_: k < row_covers * column_covers, visit, start)
    return ops.where(empty[..., None], -1, ops.minimum(where, count * high * wide - 1))


def _larger(a: Block, b: Block) -> Block:
    take = (b[0] > a[0]) | (ops.equal(b[0], a[0]) & (b[1] < a[1]))
    return ops.where(take, b[0], a[0]), ops.where(take, b[1], a[1])


def _table(x: Any, count: Any, high: Any, wide: Any) -> Block:
    """(LEVELS^2 N H W, C): the maximum of the block of 2^i x 2^j pixels that begins at a pixel, and its index."""
    index = ops.reshape(ops.arange(count * high * wide, dtype="int32"), (count, high, wide, 1))
    row: Block = (x, ops.broadcast_to(index, ops.shape(x)))
    blocks = []
    for i in range(LEVELS):
        block = row = _larger(row, _shifted(row, 2 ** (i - 1), 1)) if i else row
        blocks.append(block)
        for j in range(LEVELS - 1):
            block = _larger(block, _shifted(block, 2**j, 2))
            blocks.append(block)
    flat = (ops.reshape(ops.stack(parts), (-1, x.shape[-1])) for parts in zip(*blocks, strict=True))
    return tuple(flat)  # type: ignore[return-value]


def _shifted(block: Block, by: int, axis: int) -> Block:
    # Blocks that stick out of the image come out wrong; nobody asks for them.
    return ops.roll(block[0], -by, axis), ops.roll(block[1], -by, axis)


def _level(ranges: Any) -> tuple[Any, Any]:
    """For each range the level of the blocks that cover it, and how many blocks the longest one needs."""
    length = ops.maximum(ranges[1] - ranges[0], 1)
    level = sum(ops.cast(length >= 2**i, "int32") for i in range(1, LEVELS))
    most = ops.max(ops.concatenate([ops.reshape(ceil_div(length, 2**level), (-1,)), ops.ones((1,), "int32")]))
    return level, most


def _origin(ranges: Any, level: Any, k: Any) -> Any:
    """Where block `k` of each range begins: side by side, the last ones pushed back to end with the range."""
    block = 2**level
    start = ops.minimum(ranges[0] + k * block, ranges[1] - block)
    return ops.maximum(start, 0)
