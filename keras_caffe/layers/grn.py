"""GRN (opencv/training_toolbox_caffe: grn_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import ShapeError
from keras_caffe.layers.arguments import flag, number, whole
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.ops.losses import with_gradient_of
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("GRN")
class GRN(CaffeLayer):
    """y = x / sqrt(bias + sum of x^2 over the channels): global response normalisation.

    Args:
        bias: keeps the root from 0; 0 or more (1e-7).
        dummy_backward: hand the gradient down as it comes, as if y were x (False).
        axis: the tensor axis of the channels (the last one).

    Shapes: 2 to 4 axes; the top has the bottom's shape.

    Raises:
        LayerError: a bias below 0. ShapeError: a bottom of fewer or more axes.

    Caffe: src/caffe/layers/grn_layer.cpp (opencv/training_toolbox_caffe)
    """

    flops_per_top_value: int | None = 3  # square, sum, quotient

    def __init__(self, bias: float = 1e-7, dummy_backward: bool = False, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bias: float = number("bias", bias, 0)
        self.dummy_backward: bool = flag("dummy_backward", dummy_backward)
        self.axis: int = whole("axis", axis)

    def call(self, inputs: Any) -> Any:
        y = inputs / ops.sqrt(ops.sum(ops.square(inputs), axis=self.axis, keepdims=True) + self.bias)
        return with_gradient_of(y, inputs) if self.dummy_backward else y

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        if not 2 <= len(shapes[0]) <= 4:
            raise ShapeError("GRN needs a bottom of 2 to 4 axes", received=shapes[0])
        return [shapes[0]]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.grn_param
        axis = bottoms[0].axis(1) if bottoms[0].rank > 1 else 0
        return cls(bias=param.bias, dummy_backward=param.dummy_backward, axis=axis, **kwargs)
