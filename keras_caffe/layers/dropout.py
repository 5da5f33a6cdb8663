"""Dropout (src/caffe/layers/dropout_layer.cpp)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import keras

from keras_caffe.errors import CaffeWarning
from keras_caffe.layers.arguments import number, optional, whole
from keras_caffe.layers.base import Bottom, CaffeLayer, enum_name, serializable
from keras_caffe.registry import register_layer


@serializable
@register_layer("Dropout")
class Dropout(CaffeLayer):
    """In training y = x m / (1 - dropout_ratio) with m drawn from Bernoulli(1 - dropout_ratio); otherwise y = x.

    What is dropped becomes 0; in Caffe a NaN or infinity (times 0) becomes NaN.

    Args:
        dropout_ratio: share of the values that become 0, from 0 to 1 (0.5).
        seed: of the random numbers; None (default) draws one.

    Shapes: any; the top has the bottom's shape.

    Raises:
        LayerError: a ratio that is no probability.

    Examples:
        >>> np.asarray(keras_caffe.layers.Dropout(0.5)(np.float32([1, 2]), training=False))
        array([1., 2.], dtype=float32)

    Caffe: src/caffe/layers/dropout_layer.cpp
    """

    flops_per_top_value: int | None = 0  # in inference

    def __init__(self, dropout_ratio: float = 0.5, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dropout_ratio: float = number("dropout_ratio", dropout_ratio, 0, 1)
        self.seed: int | None = optional(whole, "seed", seed, 0)
        self.random: Any = keras.random.SeedGenerator(self.seed)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return keras.random.dropout(inputs, self.dropout_ratio, seed=self.random) if training else inputs

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        ratio = layer.dropout_param.dropout_ratio
        if not 0 <= ratio <= 1 and enum_name(layer, "phase") == "TEST":  # where Caffe does not look at it
            problem = f"layer {layer.name!r} (Dropout): dropout_ratio {ratio:g} is no probability"
            warnings.warn(f"{problem}; training this net would drop nothing", CaffeWarning, stacklevel=2)
            ratio = 0.0
        return cls(dropout_ratio=ratio, **kwargs)
