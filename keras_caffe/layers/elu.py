"""ELU (src/caffe/layers/elu_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.layers.arguments import number
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.ops.rectify import chosen_from, relu
from keras_caffe.registry import register_layer


@serializable
@register_layer("ELU")
class ELU(CaffeLayer):
    """y = x for x > 0, alpha (exp(x) - 1) otherwise; the gradient at 0 is alpha.

    Args:
        alpha: minus the value at minus infinity, without unit (1).

    Shapes: any; the top has the bottom's shape.

    Examples:
        >>> np.asarray(keras_caffe.layers.ELU()(np.float32([-100, 1])))
        array([-1.,  1.], dtype=float32)

    Caffe: src/caffe/layers/elu_layer.cpp
    """

    reads_top = True
    flops_per_top_value: int | None = 1

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha: float = number("alpha", alpha)

    def call(self, inputs: Any) -> Any:
        # As Caffe adds the two parts: one of them is NaN where x is, also where TensorFlow Lite's exp makes 0 of NaN.
        return relu(inputs) + self.alpha * (ops.exp(ops.minimum(chosen_from(inputs), 0)) - 1)

    def gradient_from_top(self, bottom: Any, top: Any, diff: Any) -> Any:
        return diff * ops.where(bottom > 0, 1, top + self.alpha)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        return cls(alpha=layer.elu_param.alpha, **kwargs)
