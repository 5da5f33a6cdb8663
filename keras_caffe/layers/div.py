"""Div (foss-for-synopsys-dwc-arc-processors/synopsys-caffe: div_layer.cpp)."""

from __future__ import annotations

from typing import Any

from keras_caffe.layers.base import Arity, CaffeLayer, serializable
from keras_caffe.layers.mul import spread_shape
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("Div")
class Div(CaffeLayer):
    """y = x / d, with sizes of 1 and missing first axes spread, as NumPy does. The fork has no gradient for it.

    Shapes: x and d, of any number of axes, in Caffe's order -> their common shape. (With one bottom the fork divides by
    a blob of which no file tells the shape.)

    Raises:
        ShapeError: shapes that do not go together.

    Caffe: src/caffe/layers/div_layer.cpp (foss-for-synopsys-dwc-arc-processors/synopsys-caffe)
    """

    bottoms: Arity = (2, 2)
    stores = "caffe"
    flops_per_top_value: int | None = 1

    def call(self, inputs: Any) -> Any:
        x, by = inputs
        return x / by

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        return [spread_shape("Div", *shapes)]
