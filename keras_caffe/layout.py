"""The one place that knows how a Caffe blob's axes are stored in a tensor.

An *order* is a tuple: `order[i]` is the Caffe axis that tensor axis `i` holds. A 4-axis blob (N, C, H, W) stored
as (N, H, W, C) has the order (0, 2, 3, 1); stored as Caffe does, (0, 1, 2, 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Order = tuple[int, ...]
T = TypeVar("T")

DATA_FORMATS = ("channels_last", "channels_first")


def caffe_order(rank: int) -> Order:
    """Every axis where Caffe has it."""
    return tuple(range(rank))


def axis_last(rank: int, axis: int) -> Order:
    """One axis moved behind all others."""
    return (*(a for a in range(rank) if a != axis), axis)


def channels_last(rank: int) -> Order:
    """Caffe axis 1 moved behind all others; blobs of fewer than three axes look the same either way."""
    return caffe_order(rank) if rank < 3 else axis_last(rank, 1)


def edge_order(rank: int, data_format: str) -> Order:
    """How callers see a blob of `rank` axes at the edges of a model.

    Blobs of four and more axes, which are images to Keras, follow the data format. Those of up to three (sequences,
    lists of boxes or scores) are as in Caffe in either format.
    """
    return channels_last(rank) if data_format == "channels_last" and rank > 3 else caffe_order(rank)


def to_stored(caffe: Sequence[T], order: Order) -> tuple[T, ...]:
    """One entry per Caffe axis -> one entry per tensor axis."""
    return tuple(caffe[a] for a in order)


def to_caffe(stored: Sequence[T], order: Order) -> tuple[T, ...]:
    """One entry per tensor axis -> one entry per Caffe axis."""
    return tuple(stored[order.index(a)] for a in range(len(order)))


def tensor_axis(order: Order, axis: int) -> int:
    """The tensor axis that holds Caffe axis `axis` (not negative)."""
    return order.index(axis)


def permutation(have: Order, want: Order) -> tuple[int, ...]:
    """The argument for `transpose` that turns a tensor stored as `have` into one stored as `want`."""
    return tuple(have.index(a) for a in want)


def inverse(axes: Sequence[int]) -> tuple[int, ...]:
    """The permutation that undoes `axes`."""
    return tuple(axes.index(i) for i in range(len(axes)))
