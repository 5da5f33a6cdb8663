"""Log (src/caffe/layers/log_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError
from keras_caffe.layers.arguments import number
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.layers.exp import NATURAL, log_base
from keras_caffe.registry import register_layer


@serializable
@register_layer("Log")
class Log(CaffeLayer):
    """y = logarithm of (shift + scale x) to the base `base`.

    Args:
        base: positive and not 1; -1 = e (-1).
        scale, shift: without unit (1, 0).

    Shapes: any; the top has the bottom's shape.

    Raises:
        LayerError: the base is 1, or neither positive nor -1.

    Caffe: src/caffe/layers/log_layer.cpp
    """

    flops_per_top_value: int | None = 1

    def __init__(self, base: float = NATURAL, scale: float = 1.0, shift: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.base: float = number("base", base)
        self.scale: float = number("scale", scale)
        self.shift: float = number("shift", shift)
        if log_base(self.base) == 0:
            raise LayerError("there is no logarithm to the base 1", received=base)
        self._factor = 1 / log_base(self.base)

    def call(self, inputs: Any) -> Any:
        return ops.log(inputs * self.scale + self.shift) * self._factor

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.log_param
        return cls(base=param.base, scale=param.scale, shift=param.shift, **kwargs)
