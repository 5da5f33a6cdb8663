"""Softmax (src/caffe/layers/softmax_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.layers.arguments import whole
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.ops.softmax import softmax
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, canonical_axis


@serializable
@register_layer("Softmax")
class Softmax(CaffeLayer):
    """y = exp(x) / sum of exp(x) along one axis, at every place of the other axes.

    Args:
        axis: tensor axis of the classes (-1).

    Shapes: any with that axis; the top has the bottom's shape.

    Raises:
        LayerError: the axis is out of range.

    Examples:
        >>> np.asarray(keras_caffe.layers.Softmax()(np.float32([[0, 0]])))
        array([[0.5, 0.5]], dtype=float32)

    Caffe: src/caffe/layers/softmax_layer.cpp
    """

    kept_bottoms: Sequence[int] = (0,)
    reads_top = True
    flops_per_top_value: int | None = 5  # maximum, difference, exp, sum, quotient

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis: int = whole("axis", axis)

    def call(self, inputs: Any) -> Any:
        if inputs.shape[self.axis] == 1:  # Keras would warn about a single class.
            return ops.exp(inputs - inputs)  # 1; NaN where the input is no finite number.
        return softmax(inputs, self.axis)

    def gradient_from_top(self, bottom: Any, top: Any, diff: Any) -> Any:
        return top * (diff - ops.sum(diff * top, axis=self.axis, keepdims=True))

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        canonical_axis(self.axis, len(shapes[0]))
        return [shapes[0]]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        return cls(axis=bottoms[0].axis(layer.softmax_param.axis), **kwargs)
