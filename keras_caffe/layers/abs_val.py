"""AbsVal (src/caffe/layers/absval_layer.cpp)."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_caffe.layers.base import CaffeLayer, serializable
from keras_caffe.registry import register_layer


@serializable
@register_layer("AbsVal")
class AbsVal(CaffeLayer):
    """y = |x|; the gradient at 0 is 0.

    Shapes: any; the top has the bottom's shape.

    Caffe: src/caffe/layers/absval_layer.cpp
    """

    flops_per_top_value: int | None = 1

    def call(self, inputs: Any) -> Any:
        return ops.abs(inputs)
