"""Axpy (hujie-frank/SENet: axpy_layer.cpp)."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_caffe.errors import ShapeError
from keras_caffe.layers.base import Arity, CaffeLayer, serializable
from keras_caffe.layers.loss_bottoms import check_rank
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, merge_shapes


@serializable
@register_layer("Axpy")
class Axpy(CaffeLayer):
    """y = a x + b with one factor a per image and channel.

    Shapes: a (N, C) or (N, 1, ..., C), x and b (N, ..., C) -> (N, ..., C).

    Raises:
        ShapeError: x and b differ in shape, more than 4 axes, or a has more than one value per image and channel.

    Caffe: src/caffe/layers/axpy_layer.cpp (hujie-frank/SENet)
    """

    bottoms: Arity = (3, 3)
    stores = "channels_last"
    flops_per_top_value: int | None = 2

    def call(self, inputs: Any) -> Any:
        a, x, b = inputs
        ones = [1] * (len(x.shape) - 2)
        return ops.reshape(a, (ops.shape(a)[0], *ones, a.shape[-1])) * x + b

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        a, x, b = shapes
        check_rank(shapes)
        top = merge_shapes(x, b, "the second and third bottom of Axpy must have one shape")
        if len(a) < 2 or len(x) < 2 or any(size not in (1, None) for size in a[1:-1]):
            raise ShapeError(
                "Axpy needs one factor per image and channel",
                expected="(N, C) or (N, C, 1, 1) in Caffe's order",
                received=a,
            )
        merge_shapes((a[0], a[-1]), (x[0], x[-1]), "Axpy needs one factor per image and channel")
        return [top]
