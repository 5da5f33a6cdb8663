"""BNLL (src/caffe/layers/bnll_layer.cpp)."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_caffe.layers.base import CaffeLayer, serializable
from keras_caffe.registry import register_layer


@serializable
@register_layer("BNLL")
class BNLL(CaffeLayer):
    """y = log(1 + exp(x)), the binomial normal log likelihood.

    Shapes: any; the top has the bottom's shape.

    Caffe: src/caffe/layers/bnll_layer.cpp
    """

    flops_per_top_value = 1

    def call(self, inputs: Any) -> Any:
        return ops.softplus(inputs)
