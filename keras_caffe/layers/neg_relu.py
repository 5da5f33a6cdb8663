"""NegReLU (lmb-freiburg/flownet2: neg_relu_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.layers.arguments import number
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.ops.rectify import relu
from keras_caffe.registry import register_layer


@serializable
@register_layer("NegReLU")
class NegReLU(CaffeLayer):
    """y = min(x, 0) + negative_slope max(x, 0); the gradient at 0 is the slope. NaN stays NaN.

    Args:
        negative_slope: slope for positive values, in spite of its name; without unit (0).

    Shapes: any; the top has the bottom's shape.

    Caffe: src/caffe/layers/neg_relu_layer.cpp (lmb-freiburg/flownet2)
    """

    flops_per_top_value: int | None = 1

    def __init__(self, negative_slope: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.negative_slope: float = number("negative_slope", negative_slope)

    def call(self, inputs: Any) -> Any:
        if self.negative_slope == 0:
            return -relu(-inputs)
        return ops.where(inputs < 0, inputs, inputs * self.negative_slope)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        return cls(negative_slope=layer.relu_param.negative_slope, **kwargs)
