"""Threshold (src/caffe/layers/threshold_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.layers.arguments import number
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.registry import register_layer


@serializable
@register_layer("Threshold")
class Threshold(CaffeLayer):
    """y = 1 for x > threshold, 0 otherwise; no gradient passes.

    Args:
        threshold: in units of x (0).

    Shapes: any; the top has the bottom's shape.

    Caffe: src/caffe/layers/threshold_layer.cpp
    """

    flops_per_top_value: int | None = 1
    has_gradient = False

    def __init__(self, threshold: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.threshold: float = number("threshold", threshold)

    def call(self, inputs: Any) -> Any:
        return ops.cast(inputs > self.threshold, inputs.dtype)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        return cls(threshold=layer.threshold_param.threshold, **kwargs)
