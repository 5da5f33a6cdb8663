"""RReLU (several forks: rrelu_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_caffe.errors import LayerError
from keras_caffe.layers.arguments import number, optional, whole
from keras_caffe.layers.base import Bottom, CaffeLayer, required, serializable
from keras_caffe.ops.rectify import rectify_by
from keras_caffe.registry import register_layer


@serializable
@register_layer("RReLU")
class RReLU(CaffeLayer):
    """y = x for x > 0, x / r otherwise: r is drawn anew for each value in training and else the mean of its limits.

    Args:
        negative_slope_lower, negative_slope_upper: limits of r, which divides although the fields are called slopes.
        seed: of the random numbers; None (default) draws one.

    Shapes: any; the top has the bottom's shape.

    Raises:
        LayerError: a limit is missing or not positive, or the lower one is the greater.

    Caffe: src/caffe/layers/rrelu_layer.cpp (several forks)
    """

    flops_per_top_value: int | None = 1

    def __init__(
        self, negative_slope_lower: float, negative_slope_upper: float, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.negative_slope_lower: float = number("negative_slope_lower", negative_slope_lower, above=0)
        self.negative_slope_upper: float = number("negative_slope_upper", negative_slope_upper, above=0)
        if self.negative_slope_lower > self.negative_slope_upper:
            limits = (self.negative_slope_lower, self.negative_slope_upper)
            raise LayerError("the lower limit is above the upper one", received=limits)
        self.seed: int | None = optional(whole, "seed", seed, 0)
        self.random: Any = keras.random.SeedGenerator(self.seed)

    @property
    def divisor(self) -> float:
        """What negative values are divided by in inference."""
        return (self.negative_slope_lower + self.negative_slope_upper) / 2

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        limits = (self.negative_slope_lower, self.negative_slope_upper)
        return rectify_by(inputs, limits if training else self.divisor, self.random)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.rrelu_param
        return cls(required(param, "negative_slope_lower"), required(param, "negative_slope_upper"), **kwargs)
