"""Swish (src/caffe/layers/swish_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.layers.arguments import number
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.registry import register_layer


@serializable
@register_layer("Swish")
class Swish(CaffeLayer):
    """y = x sigmoid(beta x).

    Args:
        beta: without unit (1).

    Shapes: any; the top has the bottom's shape.

    Caffe: src/caffe/layers/swish_layer.cpp
    """

    kept_bottoms: Sequence[int] = (0,)
    reads_top = True
    flops_per_top_value: int | None = 1

    def __init__(self, beta: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.beta: float = number("beta", beta)

    def call(self, inputs: Any) -> Any:
        return inputs * ops.sigmoid(inputs * self.beta)

    def gradient_from_top(self, bottom: Any, top: Any, diff: Any) -> Any:
        return diff * (self.beta * top + ops.sigmoid(bottom * self.beta) * (1 - self.beta * top))

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        return cls(beta=layer.swish_param.beta, **kwargs)
