"""Reduction (src/caffe/layers/reduction_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.layers.arguments import distinct_axes, number, one_of
from keras_caffe.layers.base import Bottom, CaffeLayer, enum_name, serializable
from keras_caffe.layout import Order
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, canonical_axis, total_count


@serializable
@register_layer("Reduction")
class Reduction(CaffeLayer):
    """SUM: y = coeff sum x; ASUM: coeff sum |x|; SUMSQ: coeff sum x^2; MEAN: coeff mean x.

    Args:
        operation: "SUM" (default), "ASUM", "SUMSQ" or "MEAN".
        axes: the tensor axes that are summed (-1); in a net they are the last ones of the blob.
        coeff: factor, without unit (1).

    Shapes: the top has the other axes, none if all are summed.

    Raises:
        LayerError: an unknown operation; an axis is out of range or named twice.

    Caffe: src/caffe/layers/reduction_layer.cpp
    """

    def __init__(
        self, operation: str = "SUM", axes: int | Sequence[int] = -1, coeff: float = 1.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.operation: str = one_of("operation", operation, ("SUM", "ASUM", "SUMSQ", "MEAN"))
        self.axes: tuple[int, ...] = distinct_axes("axes", axes)
        self.coeff: float = number("coeff", coeff)

    def call(self, inputs: Any) -> Any:
        x = {"ASUM": ops.abs, "SUMSQ": ops.square}.get(self.operation, lambda x: x)(inputs)
        y = (ops.mean if self.operation == "MEAN" else ops.sum)(x, axis=self.axes)
        return y if self.coeff == 1 else y * self.coeff

    def _other_axes(self, rank: int) -> list[int]:
        reduced = distinct_axes("axes", self.axes, rank)
        return [axis for axis in range(rank) if axis not in reduced]

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        return [tuple(shapes[0][axis] for axis in self._other_axes(len(shapes[0])))]

    def top_orders(self, orders: Sequence[Order], ranks: Sequence[int]) -> list[Order]:
        return [tuple(orders[0][axis] for axis in self._other_axes(len(orders[0])))]

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return total_count(bottoms)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param, bottom = layer.reduction_param, bottoms[0]
        axes = [bottom.axis(axis) for axis in range(canonical_axis(param.axis, bottom.rank), bottom.rank)]
        return cls(operation=enum_name(param, "operation"), axes=axes, coeff=param.coeff, **kwargs)
