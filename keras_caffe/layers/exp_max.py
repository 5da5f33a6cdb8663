"""ExpMax (twhui/LiteFlowNet: exp_max_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.layers.arguments import number
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.layers.exp import NATURAL, log_base
from keras_caffe.layers.images import check_images
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("ExpMax")
class ExpMax(CaffeLayer):
    """y = base^(shift + scale (x - m)), m the greatest value of the pixel's channels; to the gradient m is a constant.

    The fork's kernel takes the maxima of the first image for all; here each image has its own.

    Args:
        base: positive; -1 (default) = e.
        scale, shift: without unit (1, 0).

    Shapes: (N, H, W, C) -> the same.

    Raises:
        LayerError, ShapeError: the base is neither positive nor -1, a bottom without exactly 4 axes.

    Caffe: src/caffe/layers/exp_max_layer.cpp (twhui/LiteFlowNet)
    """

    stores = "channels_last"
    flops_per_top_value: int | None = 4  # maximum, difference, product, power

    def __init__(self, base: float = NATURAL, scale: float = 1.0, shift: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.base: float = number("base", base)
        self.scale: float = number("scale", scale)
        self.shift: float = number("shift", shift)
        self._log_base = log_base(self.base)

    def call(self, inputs: Any) -> Any:
        greatest = ops.stop_gradient(ops.max(inputs, axis=-1, keepdims=True))
        return ops.exp(self._log_base * (self.shift + self.scale * (inputs - greatest)))

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        check_images("ExpMax", *shapes)
        return [shapes[0]]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.expmax_param
        return cls(base=param.base, scale=param.scale, shift=param.shift, **kwargs)
