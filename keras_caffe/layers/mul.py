"""Mul (foss-for-synopsys-dwc-arc-processors/synopsys-caffe: mul_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from keras_caffe.errors import ShapeError
from keras_caffe.layers.arguments import wholes
from keras_caffe.layers.base import Arity, Blob, Bottom, CaffeLayer, serializable
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, Size


@serializable
@register_layer("Mul")
class Mul(CaffeLayer):
    """y = x m, with sizes of 1 and missing first axes spread, as NumPy does. The fork has no gradient for it.

    Args:
        mul_shape: shape of a learned m, where there is one bottom (none: a scalar). It begins as 0.

    Shapes: x, and with two bottoms m, of any number of axes, in Caffe's order -> their common shape.

    Raises:
        LayerError: a size that is none. ShapeError: shapes that do not go together.

    Caffe: src/caffe/layers/mul_layer.cpp (foss-for-synopsys-dwc-arc-processors/synopsys-caffe)
    """

    bottoms: Arity = (1, 2)
    stores = "caffe"
    flops_per_top_value: int | None = 1

    def __init__(self, mul_shape: int | Sequence[int] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mul_shape: tuple[int, ...] = wholes("mul_shape", mul_shape, 1)

    def call(self, inputs: Any) -> Any:
        x, by = inputs if isinstance(inputs, (list, tuple)) else (inputs, self.multiplier)
        return x * by

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        one, other = (*shapes, self.mul_shape)[:2]
        return [spread_shape("Mul", one, other)]

    def blob_table(self, *shapes: Shape) -> list[Blob]:
        return [Blob("multiplier", self.mul_shape, "constant")] if len(shapes) == 1 else []

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        return cls(list(layer.mul_param.mul_shape) if len(bottoms) == 1 else (), **kwargs)


def spread_shape(type: str, one: Shape, other: Shape) -> Shape:
    """The common shape of two bottoms, whose sizes of 1 and missing first axes are spread.

    Raises:
        ShapeError: they have none.
    """

    def size(a: Size, b: Size) -> Size:
        if a == 1 or b == 1:
            return b if a == 1 else a
        if None not in (a, b) and a != b:
            raise ShapeError(f"{type} cannot spread one bottom over the other", expected=one, received=other)
        return a if b is None else b

    return tuple(size(a, b) for a, b in zip_longest(one[::-1], other[::-1], fillvalue=1))[::-1]
