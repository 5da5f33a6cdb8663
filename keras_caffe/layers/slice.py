"""Slice (src/caffe/layers/slice_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers.arguments import whole, wholes
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable
from keras_caffe.layers.concat import joint_axis
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, Size, canonical_axis


@serializable
@register_layer("Slice")
class Slice(CaffeLayer):
    """The bottom cut along one axis.

    Args:
        num_tops: number of parts, at least 1 (2).
        axis: tensor axis (-1).
        slice_point: the positions of the cuts, one fewer than parts; none for parts of equal size (default).

    Shapes: (..., d, ...) -> `num_tops` times (..., d_i, ...) with sum of d_i = d.

    Raises:
        LayerError, ShapeError: the axis is out of range or given in two ways, cuts that do not rise or lie beyond the
        bottom, a size that `num_tops` does not divide.

    Examples:
        >>> keras_caffe.layers.Slice(3).compute_output_shape((1, 6))
        [(1, 2), (1, 2), (1, 2)]

    Caffe: src/caffe/layers/slice_layer.cpp
    """

    tops: Arity = (1, None)
    flops_per_top_value: int | None = 0  # it moves values

    def __init__(self, num_tops: int = 2, axis: int = -1, slice_point: int | Sequence[int] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_tops: int = whole("num_tops", num_tops, 1)
        self.axis: int = whole("axis", axis)
        self.slice_point: tuple[int, ...] = wholes("slice_point", slice_point)
        if len(self.slice_point) not in (0, self.num_tops - 1):
            raise LayerError(
                "slice_point must be given once per cut", expected=self.num_tops - 1, received=len(self.slice_point)
            )
        if any(a >= b for a, b in pairwise([0, *self.slice_point])):
            raise LayerError("slice_point must rise and start at 1 or more", received=self.slice_point)

    def call(self, inputs: Any) -> Any:
        if self.num_tops == 1:
            return inputs
        axis = canonical_axis(self.axis, len(inputs.shape))
        bounds = self._bounds(ops.shape(inputs)[axis])
        return [inputs[(slice(None),) * axis + (slice(a, b),)] for a, b in pairwise(bounds)]

    def _bounds(self, size: Any) -> list[Any]:
        if self.slice_point:
            return [0, *self.slice_point, size]
        return [size * i // self.num_tops for i in range(self.num_tops + 1)]

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        (shape,) = shapes
        axis = canonical_axis(self.axis, len(shape))
        return [(*shape[:axis], size, *shape[axis + 1 :]) for size in self._sizes(shape[axis])]

    def _sizes(self, size: Size) -> list[Size]:
        if not self.slice_point and size is not None and size % self.num_tops:
            raise ShapeError(
                "Slice cannot cut into equal parts", expected=f"a multiple of {self.num_tops}", received=size
            )
        if self.slice_point and size is not None and size < max(self.num_tops, self.slice_point[-1]):
            least = max(self.num_tops, self.slice_point[-1])
            raise ShapeError("Slice cuts beyond its bottom", expected=f"{least} or more", received=size)
        if size is not None:
            return [b - a for a, b in pairwise(self._bounds(size))]
        if not self.slice_point:
            return [None] * self.num_tops
        return [*(b - a for a, b in pairwise((0, *self.slice_point))), None]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param, num_tops = layer.slice_param, len(layer.top)
        axis = joint_axis(param, "slice_dim", bottoms[0])
        return cls(num_tops=num_tops, axis=axis, slice_point=param.slice_point, **kwargs)
