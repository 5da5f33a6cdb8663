"""Permute (SSD: src/caffe/layers/permute_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers.arguments import distinct_axes
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.layout import Order
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("Permute")
class Permute(CaffeLayer):
    """Axis i of the top is axis order[i] of the bottom. The tensor passes unchanged: its axes get other meanings.

    Args:
        order: the bottom's axis for each of the top's, in Caffe's order; each axis once.

    Shapes: any; the stored shape stays.

    Raises:
        LayerError: an axis is out of range, named twice or left out. ShapeError: another number of axes.

    Caffe: src/caffe/layers/permute_layer.cpp (weiliu89/caffe, branch ssd)
    """

    flops_per_top_value: int | None = 0

    def __init__(self, order: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.order: tuple[int, ...] = distinct_axes("order", order)
        if sorted(self.order) != list(range(len(self.order))):
            raise LayerError(
                "order must name every axis", expected=f"0 to {len(self.order) - 1}, each once", received=self.order
            )

    def call(self, inputs: Any) -> Any:
        return inputs

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        if len(shapes[0]) != len(self.order):
            raise ShapeError("order does not fit the bottom", expected=f"{len(self.order)} axes", received=shapes[0])
        return [shapes[0]]

    def top_orders(self, orders: Sequence[Order], ranks: Sequence[int]) -> list[Order]:
        return [tuple(self.order.index(axis) for axis in orders[0])]

    def memory(self, tops: Sequence[Shape]) -> int:
        return 0  # the bottom's

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        given, rank = list(layer.permute_param.order), bottoms[0].rank
        if any(axis >= rank for axis in given):
            raise LayerError("order is out of range", expected=f"axes below {rank}", received=given)
        return cls(order=given + [axis for axis in range(rank) if axis not in given], **kwargs)
