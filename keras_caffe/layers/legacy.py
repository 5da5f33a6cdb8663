"""Blobs as layers see them that still think in num, channels, height and width: missing axes have size 1 (blob.hpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.errors import ShapeError
from keras_caffe.layers.base import Bottom
from keras_caffe.layout import Order, caffe_order

RANK = 4


def legacy_shape(shape: Any) -> Any:
    """The shape with axes of size 1 up to four. Raises ShapeError if it has more."""
    if len(shape) > RANK:
        raise ShapeError("the bottom has too many axes", expected="at most 4", received=shape)
    return (*shape, *[1] * (RANK - len(shape)))


def legacy_bottom_order(bottom: Bottom) -> Order:
    """How a bottom should be stored that `legacy_shape` extends: as it is, or as Caffe does if axes are missing."""
    return bottom.order if bottom.rank == RANK else caffe_order(bottom.rank)


def legacy_top_orders(orders: Sequence[Order], ranks: Sequence[int]) -> list[Order]:
    """How tops of four axes come out stored."""
    return [orders[0] if len(orders[0]) == RANK else caffe_order(RANK)] * len(ranks)


def legacy_axis(order: Order, axis: int) -> int:
    """The tensor axis of Caffe axis `axis` in a top of four axes."""
    return order.index(axis) if axis < len(order) else axis
