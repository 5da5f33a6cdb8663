"""Insanity (happynear/caffe-windows: insanity_layer.cpp)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras

from keras_caffe.errors import LayerError
from keras_caffe.layers.arguments import number, optional, whole
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.ops.rectify import rectify_by
from keras_caffe.registry import register_layer


@serializable
@register_layer("Insanity")
class Insanity(CaffeLayer):
    """y = x for x > 0, x / r otherwise: r is drawn from [lb, ub] for each value in training, else one over the mean
    of 1 / r: (ub - lb) / (ln ub - ln lb).

    Args:
        lb, ub: limits of r, without unit (5, 10).
        seed: of the random numbers; None (default) draws one.

    Shapes: any; the top has the bottom's shape.

    Raises:
        LayerError: a limit is not positive, or lb is not below ub.

    Caffe: src/caffe/layers/insanity_layer.cpp (happynear/caffe-windows)
    """

    flops_per_top_value: int | None = 1

    def __init__(self, lb: float = 5.0, ub: float = 10.0, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lb: float = number("lb", lb, above=0)
        self.ub: float = number("ub", ub, above=0)
        if self.lb >= self.ub:
            raise LayerError("lb must be below ub", received=(self.lb, self.ub))
        self.seed: int | None = optional(whole, "seed", seed, 0)
        self.random: Any = keras.random.SeedGenerator(self.seed)

    @property
    def divisor(self) -> float:
        """What negative values are divided by in inference."""
        return (self.ub - self.lb) / (math.log(self.ub) - math.log(self.lb))

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return rectify_by(inputs, (self.lb, self.ub) if training else self.divisor, self.random)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        return cls(lb=layer.insanity_param.lb, ub=layer.insanity_param.ub, **kwargs)
