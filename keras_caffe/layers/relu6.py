"""ReLU6 (eric612/MobileNet-YOLO: src/caffe/layers/relu6_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.layers.arguments import number
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.ops.losses import with_gradient_of
from keras_caffe.ops.rectify import chosen_from, relu6
from keras_caffe.registry import register_layer


@serializable
@register_layer("ReLU6")
class ReLU6(CaffeLayer):
    """y = min(max(x, 0) + negative_slope min(x, 0), 6); the gradient at 0 is the slope, from x = 6 on it is 0.

    Args:
        negative_slope: slope for negative values, without unit (0).

    Shapes: any; the top has the bottom's shape.

    Caffe: src/caffe/layers/relu6_layer.cpp (eric612/MobileNet-YOLO)
    """

    flops_per_top_value: int | None = 1

    def __init__(self, negative_slope: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.negative_slope: float = number("negative_slope", negative_slope)

    def call(self, inputs: Any) -> Any:
        if self.negative_slope == 0:
            return relu6(inputs)
        y = ops.where(inputs > 0, chosen_from(inputs), inputs * self.negative_slope)
        y = ops.where(inputs < 6, y, 6)
        # A falling branch is cut, too, but only in the value.
        return y if self.negative_slope > 0 else with_gradient_of(ops.minimum(y, 6), y)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        return cls(negative_slope=layer.relu6_param.negative_slope, **kwargs)
