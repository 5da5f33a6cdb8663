"""Reverse (senlinuc/caffe_ocr: reverse_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError
from keras_caffe.layers.arguments import whole
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, canonical_axis


@serializable
@register_layer("Reverse")
class Reverse(CaffeLayer):
    """The bottom with the entries along one axis in the opposite order.

    Args:
        axis: tensor axis that is reversed (0).

    Shapes: any with that axis; the top has the bottom's shape.

    Raises:
        LayerError: the axis is out of range; a file counts it from the front.

    Caffe: src/caffe/layers/reverse_layer.cpp (senlinuc/caffe_ocr)
    """

    flops_per_top_value: int | None = 0  # it moves values

    def __init__(self, axis: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis: int = whole("axis", axis)

    def call(self, inputs: Any) -> Any:
        return ops.flip(inputs, self.axis)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        canonical_axis(self.axis, len(shapes[0]))
        return [shapes[0]]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        axis = layer.reverse_param.axis
        if axis < 0:
            raise LayerError("axis counts from the front", expected="0 or more", received=axis)
        return cls(axis=bottoms[0].axis(axis), **kwargs)
