"""HardSigmoid (eric612/MobileNet-YOLO: hard_sigmoid_layer.cpp)."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_caffe.layers.base import CaffeLayer, serializable
from keras_caffe.ops.losses import with_gradient_of
from keras_caffe.registry import register_layer


@serializable
@register_layer("HardSigmoid")
class HardSigmoid(CaffeLayer):
    """y = min(max(0.2 x + 0.5, 0), 1).

    The gradient is 0.2 everywhere, also where y is 0 or 1: so the fork trains.

    Shapes: any; the top has the bottom's shape.

    Caffe: src/caffe/layers/hard_sigmoid_layer.cpp (eric612/MobileNet-YOLO)
    """

    flops_per_top_value: int | None = 3

    def call(self, inputs: Any) -> Any:
        line = 0.2 * inputs + 0.5
        cut = ops.clip(line, 0, 1)
        # Far outside, `with_gradient_of` would take an infinity from itself.
        return with_gradient_of(cut, ops.where(ops.isfinite(line), line, cut))
