"""Flatten (src/caffe/layers/flatten_layer.cpp)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe import shapes as rules
from keras_caffe.layers.arguments import whole
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("Flatten")
class Flatten(CaffeLayer):
    """Merges axes `axis` to `end_axis` into one, the last of them varying fastest.

    Args:
        axis, end_axis: first and last of the merged axes in Caffe's order; negative ones count from the end (1, -1).

    Shapes: (d_0, ..., d_n) in Caffe's order -> (d_0, ..., product of the merged, ..., d_n).

    Raises:
        LayerError: an axis is out of range, or `end_axis` lies before `axis`.

    Examples:
        >>> keras_caffe.layers.Flatten().compute_output_shape((1, 50, 4, 4))
        (1, 800)

    Caffe: src/caffe/layers/flatten_layer.cpp
    """

    stores = "caffe"
    flops_per_top_value: int | None = 0  # it moves values

    def __init__(self, axis: int = 1, end_axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis: int = whole("axis", axis)
        self.end_axis: int = whole("end_axis", end_axis)

    def call(self, inputs: Any) -> Any:
        shape = ops.shape(inputs)
        start, end = self.axis % len(shape), self.end_axis % len(shape) + 1
        return ops.reshape(inputs, (*shape[:start], math.prod(shape[start:end]), *shape[end:]))

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        return [rules.flatten(shapes[0], self.axis, self.end_axis)]

    def memory(self, tops: Sequence[Shape]) -> int:
        return 0  # the bottom's

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        return cls(axis=layer.flatten_param.axis, end_axis=layer.flatten_param.end_axis, **kwargs)
