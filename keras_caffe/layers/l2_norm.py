"""L2Norm (forks: l2_norm_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.layers.arguments import distinct_axes
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("L2Norm")
class L2Norm(CaffeLayer):
    """y = x / sqrt(sum of x^2 over the image); an image of zeros stays zero.

    Args:
        axes: the tensor axes of an image (the last one).

    Shapes: (N, ...); the top has the bottom's shape.

    Raises:
        LayerError: an axis is out of range or named twice.

    Caffe: src/caffe/layers/l2_norm_layer.cpp (forks for face recognition)
    """

    flops_per_top_value: int | None = 3  # square, sum, product

    def __init__(self, axes: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axes: tuple[int, ...] = distinct_axes("axes", axes)

    def call(self, inputs: Any) -> Any:
        total = ops.sum(ops.square(inputs), axis=self.axes, keepdims=True)
        return inputs / ops.sqrt(ops.where(total > 0, total, 1))

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        distinct_axes("axes", self.axes, len(shapes[0]))
        return [shapes[0]]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        return cls(axes=[bottoms[0].axis(axis) for axis in range(1, bottoms[0].rank)], **kwargs)
