"""Flip (happynear/caffe-windows: flip_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import ShapeError
from keras_caffe.layers.arguments import distinct_axes
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("Flip")
class Flip(CaffeLayer):
    """Mirrors images along their width (`flip_width` in a file), their height (`flip_height`) or both.

    Args:
        axes: tensor axes that are mirrored (2: the width of images with their channels last).

    Shapes: (N, C, H, W) in any order; the top has the bottom's shape.

    Raises:
        LayerError, ShapeError: an axis that is none or comes twice, not 4 axes.

    Caffe: src/caffe/layers/flip_layer.cpp (happynear/caffe-windows)
    """

    flops_per_top_value: int | None = 0  # it moves values

    def __init__(self, axes: Sequence[int] | int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axes: tuple[int, ...] = distinct_axes("axes", axes, rank=4)

    def call(self, inputs: Any) -> Any:
        return ops.flip(inputs, self.axes) if self.axes else inputs

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        if len(shapes[0]) != 4:
            raise ShapeError("Flip needs a bottom with 4 axes", expected="(N, C, H, W)", received=shapes[0])
        return [shapes[0]]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param, image = layer.flip_param, bottoms[0]
        if image.rank != 4:
            raise ShapeError("Flip needs a bottom with 4 axes", expected="(N, C, H, W)", received=image.shape)
        mirrored = {2: param.flip_height, 3: param.flip_width}
        return cls(axes=[image.axis(axis) for axis, wanted in mirrored.items() if wanted], **kwargs)
