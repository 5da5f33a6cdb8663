"""Split (src/caffe/layers/split_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.layers.arguments import whole
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("Split")
class Split(CaffeLayer):
    """The bottom, as every top; the gradient is the sum of the tops'.

    Args:
        num_tops: how many times, at least 1 (1).

    Shapes: any; the tops have the bottom's shape.

    Caffe: src/caffe/layers/split_layer.cpp
    """

    tops: Arity = (1, None)
    flops_per_top_value: int | None = 0  # it moves values

    def __init__(self, num_tops: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_tops: int = whole("num_tops", num_tops, 1)

    def call(self, inputs: Any) -> Any:
        return inputs if self.num_tops == 1 else [inputs] * self.num_tops

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        return [shapes[0]] * self.num_tops

    def memory(self, tops: Sequence[Shape]) -> int:
        return 0  # the bottom's

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        return cls(num_tops=len(layer.top), **kwargs)
