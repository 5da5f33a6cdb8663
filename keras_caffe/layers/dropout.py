"""Dropout (src/caffe/layers/dropout_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_caffe.errors import LayerError
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.registry import register_layer


@serializable
@register_layer("Dropout")
class Dropout(CaffeLayer):
    """In training y = x m / (1 - dropout_ratio) with m drawn from Bernoulli(1 - dropout_ratio); otherwise y = x.

    Args:
        dropout_ratio: share of the values that become 0.
        seed: of the random numbers; None draws one.

    Shapes: any; the top has the bottom's shape.

    Raises:
        LayerError: a ratio that is no probability, once it is trained with.

    Caffe: src/caffe/layers/dropout_layer.cpp
    """

    flops_per_top_value = 0  # in inference

    def __init__(self, dropout_ratio: float = 0.5, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dropout_ratio, self.seed = dropout_ratio, seed
        self.random = keras.random.SeedGenerator(seed)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if not training:
            return inputs
        if not 0 <= self.dropout_ratio <= 1:
            raise LayerError("dropout_ratio is no probability", expected="0 to 1", received=self.dropout_ratio)
        return keras.random.dropout(inputs, self.dropout_ratio, seed=self.random)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        return cls(dropout_ratio=layer.dropout_param.dropout_ratio, **kwargs)
