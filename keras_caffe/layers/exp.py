"""Exp (src/caffe/layers/exp_layer.cpp)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError
from keras_caffe.layers.arguments import number
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.registry import register_layer

NATURAL = -1.0  # the base that stands for e


@serializable
@register_layer("Exp")
class Exp(CaffeLayer):
    """y = base^(shift + scale x).

    NaN stays NaN, but not in TensorFlow Lite, whose exp makes 0 of it.

    Args:
        base: positive; -1 (default) = e.
        scale, shift: without unit (1, 0).

    Shapes: any; the top has the bottom's shape.

    Raises:
        LayerError: the base is neither positive nor -1.

    Caffe: src/caffe/layers/exp_layer.cpp
    """

    kept_bottoms: Sequence[int] = (0,)
    reads_top = True
    flops_per_top_value: int | None = 1

    def __init__(self, base: float = NATURAL, scale: float = 1.0, shift: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.base: float = number("base", base)
        self.scale: float = number("scale", scale)
        self.shift: float = number("shift", shift)
        self._log_base = log_base(self.base)

    def call(self, inputs: Any) -> Any:
        y = ops.exp(inputs * (self._log_base * self.scale))
        return y if self.shift == 0 else y * ops.exp(ops.cast(self._log_base * self.shift, y.dtype))

    def gradient_from_top(self, bottom: Any, top: Any, diff: Any) -> Any:
        return diff * top * (self._log_base * self.scale)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.exp_param
        return cls(base=param.base, scale=param.scale, shift=param.shift, **kwargs)


def log_base(base: float) -> float:
    """ln(base). Raises LayerError unless the base is positive or -1, which stands for e."""
    if base == NATURAL:
        return 1.0
    if not 0 < base < math.inf:
        raise LayerError("the base must be positive, or -1 for e", received=base)
    return math.log(base)
