"""Clip (src/caffe/layers/clip_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError
from keras_caffe.layers.arguments import number
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.ops.rectify import chosen_from
from keras_caffe.registry import register_layer


@serializable
@register_layer("Clip")
class Clip(CaffeLayer):
    """y = max(min, min(x, max)); the gradient is 1 from min to max, both included. NaN becomes min.

    Args:
        min, max: in units of x.

    Shapes: any; the top has the bottom's shape.

    Raises:
        LayerError: min or max is missing.

    Caffe: src/caffe/layers/clip_layer.cpp
    """

    flops_per_top_value: int | None = 1

    def __init__(self, min: float, max: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.min: float = number("min", min)
        self.max: float = number("max", max)

    def call(self, inputs: Any) -> Any:
        y = ops.where(inputs > self.max, self.max, chosen_from(inputs))
        return ops.where(y >= self.min, y, self.min)  # NaN becomes min, as in Caffe.

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.clip_param
        if not (param.HasField("min") and param.HasField("max")):
            raise LayerError("Clip needs both min and max", received=str(param).strip() or "neither")
        return cls(min=param.min, max=param.max, **kwargs)
