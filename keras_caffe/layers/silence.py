"""Silence (src/caffe/layers/silence_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable
from keras_caffe.layout import Order
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("Silence")
class Silence(CaffeLayer):
    """Takes any bottoms and gives nothing, so that they are no outputs of the net.

    Caffe: src/caffe/layers/silence_layer.cpp
    """

    bottoms: Arity = (1, None)
    tops: Arity = (0, 0)
    flops_per_top_value: int | None = 0

    def call(self, inputs: Any) -> Any:
        return []

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        return []  # From an empty list of shapes Keras would make a scalar.

    @classmethod
    def bottom_orders(cls, layer: Any, bottoms: Sequence[Bottom]) -> list[Order]:
        return [bottom.order for bottom in bottoms]

    def top_orders(self, orders: Sequence[Order], ranks: Sequence[int]) -> list[Order]:
        return []

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        return []
