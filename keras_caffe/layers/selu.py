"""SeLu (several forks: selu_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.layers.arguments import number
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.ops.rectify import chosen_from, relu
from keras_caffe.registry import register_layer


@serializable
@register_layer("SeLu")
class SeLu(CaffeLayer):
    """y = scale x for x > 0, scale alpha (exp(x) - 1) otherwise; the gradient at 0 is scale alpha.

    Args:
        alpha: minus the value at minus infinity before scaling, without unit (1.6732632).
        scale: `lambda` in a file (1.050701).

    Shapes: any; the top has the bottom's shape.

    Caffe: src/caffe/layers/selu_layer.cpp (several forks)
    """

    flops_per_top_value: int | None = 1

    def __init__(self, alpha: float = 1.6732632, scale: float = 1.050701, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha: float = number("alpha", alpha)
        self.scale: float = number("scale", scale)

    def call(self, inputs: Any) -> Any:
        return self.scale * (relu(inputs) + self.alpha * (ops.exp(ops.minimum(chosen_from(inputs), 0)) - 1))

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.selu_param
        return cls(alpha=param.alpha, scale=getattr(param, "lambda"), **kwargs)
