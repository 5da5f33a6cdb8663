"""TanH (src/caffe/layers/tanh_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.layers.base import CaffeLayer, serializable
from keras_caffe.ops import normalize
from keras_caffe.registry import register_layer


@serializable
@register_layer("TanH")
class TanH(CaffeLayer):
    """y = tanh(x).

    Shapes: any; the top has the bottom's shape.

    Examples:
        >>> np.asarray(keras_caffe.layers.TanH()(np.float32([0, 100])))
        array([0., 1.], dtype=float32)

    Caffe: src/caffe/layers/tanh_layer.cpp
    """

    kept_bottoms: Sequence[int] = (0,)
    reads_top = True
    flops_per_top_value: int | None = 1

    def call(self, inputs: Any) -> Any:
        return normalize.tanh(inputs)

    def gradient_from_top(self, bottom: Any, top: Any, diff: Any) -> Any:
        return diff * (1 - top * top)
