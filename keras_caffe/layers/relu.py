"""ReLU (src/caffe/layers/relu_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.layers.arguments import number
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.ops.rectify import chosen_from, relu
from keras_caffe.registry import register_layer


@serializable
@register_layer("ReLU")
class ReLU(CaffeLayer):
    """y = max(x, 0) + negative_slope min(x, 0); the gradient at 0 is the slope.

    NaN stays NaN. Without a slope minus infinity gives 0; Caffe's CPU code gives NaN (0 times infinity), its cuDNN 0.

    Args:
        negative_slope: slope for negative values, without unit (0).

    Shapes: any; the top has the bottom's shape.

    Examples:
        >>> np.asarray(keras_caffe.layers.ReLU(0.5)(np.float32([-1, 2])))
        array([-0.5,  2. ], dtype=float32)

    Caffe: src/caffe/layers/relu_layer.cpp
    """

    flops_per_top_value: int | None = 1

    def __init__(self, negative_slope: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.negative_slope: float = number("negative_slope", negative_slope)

    def call(self, inputs: Any) -> Any:
        if self.negative_slope == 0:
            return relu(inputs)
        return ops.where(inputs > 0, chosen_from(inputs), inputs * self.negative_slope)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        return cls(negative_slope=layer.relu_param.negative_slope, **kwargs)
