"""NegSquare (twhui/LiteFlowNet: neg_square_layer.cpp)."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_caffe.layers.base import CaffeLayer, serializable
from keras_caffe.registry import register_layer


@serializable
@register_layer("NegSquare")
class NegSquare(CaffeLayer):
    """y = -x^2.

    The gradient is that of the formula, -2 x; the fork multiplies a buffer there that it never fills.

    Shapes: any; the top has the bottom's shape.

    Caffe: src/caffe/layers/neg_square_layer.cpp (twhui/LiteFlowNet)
    """

    flops_per_top_value: int | None = 2  # square, sign

    def call(self, inputs: Any) -> Any:
        return -ops.square(inputs)
