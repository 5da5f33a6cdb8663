"""Power (src/caffe/layers/power_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.layers.arguments import number
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.registry import register_layer


@serializable
@register_layer("Power")
class Power(CaffeLayer):
    """y = (shift + scale x)^power; where power or scale is 0 the top is constant, even for infinite x.
    The powers 0.5 and -0.5 of minus infinity are NaN in compiled graphs, which take roots for them; Caffe's inf and 0.

    Args:
        power, scale, shift: without unit (1, 1, 0).

    Shapes: any; the top has the bottom's shape.

    Examples:
        >>> np.asarray(keras_caffe.layers.Power(2, shift=1)(np.float32([1, 2])))
        array([4., 9.], dtype=float32)

    Caffe: src/caffe/layers/power_layer.cpp
    """

    reads_top = True
    flops_per_top_value: int | None = 1

    def __init__(self, power: float = 1.0, scale: float = 1.0, shift: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.power: float = number("power", power)
        self.scale: float = number("scale", scale)
        self.shift: float = number("shift", shift)

    def call(self, inputs: Any) -> Any:
        x = ops.zeros_like(inputs) if self.power * self.scale == 0 else inputs * self.scale
        y = x + self.shift
        if self.power == 1:
            return y
        # Where the base is 0 Caffe's gradient is 0/0 for most powers; here it is the derivative.
        return ops.square(y) if self.power == 2 else ops.power(y, self.power)

    def gradient_from_top(self, bottom: Any, top: Any, diff: Any) -> Any:
        if self.power * self.scale == 0:
            return ops.zeros_like(diff)
        base = bottom * self.scale + self.shift
        # For the powers 1 and 2 Caffe reads the bottom only.
        slope = ops.power(base, self.power - 1) if self.power in (1, 2) else top / base
        return diff * slope * (self.power * self.scale)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.power_param
        return cls(power=param.power, scale=param.scale, shift=param.shift, **kwargs)
