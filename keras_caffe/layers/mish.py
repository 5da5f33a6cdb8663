"""Mish (several forks: mish_layer.cpp)."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_caffe.layers.base import CaffeLayer, serializable
from keras_caffe.registry import register_layer


@serializable
@register_layer("Mish")
class Mish(CaffeLayer):
    """y = x tanh(log(1 + e^x)).

    The gradient is that of the formula; the CPU code of some forks puts y in the place of x there.

    Shapes: any; the top has the bottom's shape.

    Caffe: src/caffe/layers/mish_layer.cpp (several forks)
    """

    flops_per_top_value: int | None = 1

    def call(self, inputs: Any) -> Any:
        return inputs * ops.tanh(ops.softplus(inputs))
