"""Eltwise (src/caffe/layers/eltwise_layer.cpp)."""

from __future__ import annotations

from collections.abc import Container, Sequence
from functools import reduce
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError
from keras_caffe.layers.arguments import numbers, one_of
from keras_caffe.layers.base import ALL, Arity, Bottom, CaffeLayer, enum_name, serializable
from keras_caffe.ops.rectify import chosen_from
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, merge_shapes, total_count


@serializable
@register_layer("Eltwise")
class Eltwise(CaffeLayer):
    """SUM: y = sum of coeff_i x_i; PROD: y = product of x_i; MAX: y = greatest x_i.

    MAX passes the gradient to one bottom only. A tie of the first two bottoms goes to the second, a later bottom must
    be greater to win.

    Args:
        operation: "SUM" (default), "PROD" or "MAX".
        coeff: one number per bottom, or none for all ones (default); MAX ignores it, PROD takes none.

    Shapes: two or more bottoms of one shape; the top has it too.

    Raises:
        LayerError, ShapeError: another number of coefficients than bottoms, coefficients with PROD, different shapes.

    Examples:
        >>> np.asarray(keras_caffe.layers.Eltwise("SUM", coeff=(1, -1))([np.float32([[5, 7]]), np.float32([[2, 2]])]))
        array([[3., 5.]], dtype=float32)

    Caffe: src/caffe/layers/eltwise_layer.cpp
    """

    bottoms: Arity = (2, None)

    def __init__(self, operation: str = "SUM", coeff: Sequence[float] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.operation: str = one_of("operation", operation, ("SUM", "PROD", "MAX"))
        self.coeff: tuple[float, ...] = numbers("coeff", coeff)
        if self.operation == "PROD" and self.coeff:
            raise LayerError("PROD takes no coefficients", received=self.coeff, fix="Remove coeff.")

    @property
    def kept_bottoms(self) -> Container[int]:  # type: ignore[override]
        return ALL if self.operation == "MAX" else ()

    def call(self, inputs: Any) -> Any:
        if self.operation == "PROD":
            return reduce(ops.multiply, inputs)
        if self.operation == "MAX":
            inputs = [chosen_from(x) for x in inputs]
            first = ops.where(inputs[0] > inputs[1], inputs[0], inputs[1])
            return reduce(lambda greatest, x: ops.where(x > greatest, x, greatest), inputs[2:], first)
        terms = zip(inputs, self.coeff or [1] * len(inputs), strict=True)
        return reduce(ops.add, (x if c == 1 else x * c for x, c in terms))

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        if len(self.coeff) not in (0, len(shapes)):
            raise LayerError("coeff must be given once per bottom", expected=len(shapes), received=len(self.coeff))
        return [reduce(lambda a, b: merge_shapes(a, b, "all bottoms of Eltwise must have one shape"), shapes)]

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return (len(bottoms) - 1 + sum(c != 1 for c in self.coeff)) * total_count(tops)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        # stable_prod_grad only chooses how Caffe computes one and the same gradient.
        param = layer.eltwise_param
        return cls(operation=enum_name(param, "operation"), coeff=param.coeff, **kwargs)
