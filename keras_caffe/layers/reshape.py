"""Reshape (src/caffe/layers/reshape_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe import shapes as rules
from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers.arguments import whole, wholes
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("Reshape")
class Reshape(CaffeLayer):
    """The same values in Caffe's order with other axes.

    Args:
        dim: the sizes that replace axes `axis` to `axis + num_axes` - 1; 0 copies the bottom's size at its place, and
            one of them may be -1: it is inferred.
        axis: first replaced axis in Caffe's order (0); a negative one counts from behind the last.
        num_axes: how many axes are replaced; -1 = all from `axis` on (default).

    Shapes: (d_0, ..., d_n) -> (d_0, ..., *dim, ..., d_n), all in Caffe's order.

    Raises:
        LayerError, ShapeError: two -1, a 0 where the bottom has no axis, another number of values.

    Examples:
        >>> keras_caffe.layers.Reshape((0, -1, 4)).compute_output_shape((1, 50, 4, 4))
        (1, 200, 4)

    Caffe: src/caffe/layers/reshape_layer.cpp
    """

    stores = "caffe"
    flops_per_top_value: int | None = 0  # it moves values

    def __init__(self, dim: int | Sequence[int], axis: int = 0, num_axes: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dim: tuple[int, ...] = wholes("dim", dim, -1)
        if self.dim.count(-1) > 1:
            raise LayerError("dim has more than one -1", expected="at most one", received=self.dim)
        self.axis: int = whole("axis", axis)
        self.num_axes: int = whole("num_axes", num_axes, -1)

    def call(self, inputs: Any) -> Any:
        start, end = rules.reshape_range(len(inputs.shape), self.axis, self.num_axes)
        shape, known = ops.shape(inputs), self.top_shapes(tuple(inputs.shape))[0]
        middle = [shape[start + i] if size == 0 else size for i, size in enumerate(self.dim)]
        wanted = (*shape[:start], *middle, *shape[end:])
        return ops.reshape(inputs, [size if k is None else k for size, k in zip(wanted, known, strict=True)])

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        (shape,) = shapes
        top = rules.reshape(shape, self.dim, self.axis, self.num_axes)
        if -1 not in self.dim and top.count(None) < shape.count(None):
            raise ShapeError(
                "Reshape gives a number to a size that is not known",
                received=f"bottom {shape}, dims {self.dim}",
                fix="Copy it with a dim of 0.",
            )
        return [top]

    def memory(self, tops: Sequence[Shape]) -> int:
        return 0  # the bottom's

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param, shape = layer.reshape_param, bottoms[0].shape
        dim = list(param.shape.dim)
        start, end = rules.reshape_range(len(shape), param.axis, param.num_axes)
        # Nets state their batch size here. The axis stays dynamic if it is copied; beside a -1 that would be a guess.
        if start == 0 < end and dim and dim[0] == shape[0] and -1 not in dim:
            dim[0] = 0
        return cls(dim=dim, axis=param.axis, num_axes=param.num_axes, **kwargs)
