"""Bias (src/caffe/layers/bias_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe import fillers
from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers import arguments
from keras_caffe.layers.base import Arity, Blob, Bottom, CaffeLayer, serializable
from keras_caffe.layout import Order
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, canonical_axis, known


@serializable
@register_layer("Bias")
class Bias(CaffeLayer):
    """y = x + b, b being spread over the axes it does not cover.

    Args:
        axes: tensor axes that b covers, in the order of b's own axes (the last one).
        filler: filler of a learned b (0).

    Shapes: x (any), and with two bottoms b, whose sizes are those of `axes` of x; the top has x's shape.

    Raises:
        LayerError, ShapeError: axes out of range, a second bottom that does not match.

    Examples:
        >>> np.asarray(keras_caffe.layers.Bias()([np.float32([[1, 2]]), np.float32([10, 100])]))
        array([[ 11., 102.]], dtype=float32)

    Caffe: src/caffe/layers/bias_layer.cpp
    """

    bottoms: Arity = (1, 2)
    flops_per_top_value: int | None = 1

    def __init__(self, axes: int | Sequence[int] = -1, filler: fillers.Filler = "constant", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axes: tuple[int, ...] = arguments.distinct_axes("axes", axes)
        self.filler: fillers.Filler = arguments.filler("filler", filler)

    def call(self, inputs: Any) -> Any:
        x, bias = inputs if isinstance(inputs, (list, tuple)) else (inputs, self.bias)
        return x + spread(bias, self.axes, len(x.shape))

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        if len(shapes) == 2:
            check_covered(shapes[0], shapes[1], self.axes)
        return [shapes[0]]

    def blob_table(self, *shapes: Shape) -> list[Blob]:
        return [Blob("bias", known(covered(shapes[0], self.axes)), self.filler)] if len(shapes) == 1 else []

    @classmethod
    def bottom_orders(cls, layer: Any, bottoms: Sequence[Bottom]) -> list[Order]:
        return [bottoms[0].order, *(tuple(range(b.rank)) for b in bottoms[1:])]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.bias_param
        learned = {"filler": fillers.from_caffe(param.filler)} if len(bottoms) == 1 else {}
        return cls(axes=covered_axes(param, bottoms), **learned, **kwargs)


def covered_axes(param: Any, bottoms: Sequence[Bottom]) -> list[int]:
    """The tensor axes of the first bottom that Caffe's `axis` and `num_axes` (or the second bottom's rank) mean.

    Raises:
        LayerError: they reach beyond the bottom.
    """
    first = bottoms[0]
    number = param.num_axes if len(bottoms) == 1 else bottoms[1].rank
    if number == 0:
        return []
    start = canonical_axis(param.axis, first.rank)
    if number < -1 or start + number > first.rank:
        raise LayerError(
            "axis + num_axes is beyond the bottom", expected=f"at most {first.rank}", received=f"{start} + {number}"
        )
    stop = first.rank if number == -1 else start + number
    return [first.axis(axis) for axis in range(start, stop)]


def covered(shape: Shape, axes: Sequence[int]) -> Shape:
    """Sizes of the given axes."""
    return tuple(shape[axis] for axis in arguments.distinct_axes("axes", axes, len(shape)))


def check_covered(shape: Shape, other: Shape, axes: Sequence[int]) -> None:
    """Raises ShapeError unless the second bottom's sizes are those of the axes it covers."""
    wanted = covered(shape, axes)
    if len(wanted) != len(other):
        raise ShapeError("the second bottom has another number of axes", expected=wanted, received=other)
    if any(a != b for a, b in zip(wanted, other, strict=True) if None not in (a, b)):
        raise ShapeError("the second bottom does not match the axes it covers", expected=wanted, received=other)


def spread(values: Any, axes: Sequence[int], rank: int) -> Any:
    """`values`, one axis for each of `axes`, made ready to broadcast over a tensor of `rank` axes."""
    axes = [axis % rank for axis in axes]
    if axes == list(range(rank - len(axes), rank)):
        return values
    order = sorted(range(len(axes)), key=lambda i: axes[i])
    sizes = ops.shape(values)
    values = ops.transpose(values, order) if order != list(range(len(axes))) else values
    return ops.reshape(values, [sizes[axes.index(a)] if a in axes else 1 for a in range(rank)])
