"""BNLL (src/caffe/layers/bnll_layer.cpp)."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_caffe.layers.base import CaffeLayer, serializable
from keras_caffe.ops.losses import softplus
from keras_caffe.ops.stock import eight_bits
from keras_caffe.registry import register_layer


@serializable
@register_layer("BNLL")
class BNLL(CaffeLayer):
    """y = log(1 + exp(x)), the binomial normal log likelihood.

    NaN stays NaN, but not in TensorFlow Lite, whose exp makes 0 of it.

    Shapes: any; the top has the bottom's shape.

    Caffe: src/caffe/layers/bnll_layer.cpp
    """

    flops_per_top_value: int | None = 1

    def call(self, inputs: Any) -> Any:
        if eight_bits():  # e^x would leave none of them for the rest
            return softplus(inputs)
        # From 17 on it is x in float32. TensorFlow Lite's softplus is infinite from 89 on.
        large = inputs > 17
        return ops.where(large, inputs, ops.softplus(ops.where(large, 0, inputs)))
