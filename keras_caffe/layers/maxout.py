"""Maxout (forks: maxout_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers.arguments import whole
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, canonical_axis, total_count


@serializable
@register_layer("Maxout")
class Maxout(CaffeLayer):
    """The greatest of every `chgroup_sz` channels in a row; of equal ones the first takes the gradient.

    Args:
        chgroup_sz: how many channels become one, at least 1 (2).
        axis: tensor axis of the channels (-1).

    Shapes: (..., C, ...) -> (..., C / chgroup_sz, ...).

    Raises:
        LayerError, ShapeError: no size is given, or it does not divide the channels.

    Caffe: src/caffe/layers/maxout_layer.cpp (several forks)
    """

    kept_bottoms: Sequence[int] = (0,)

    def __init__(self, chgroup_sz: int = 2, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.chgroup_sz: int = whole("chgroup_sz", chgroup_sz, 1)
        self.axis: int = whole("axis", axis)

    def call(self, inputs: Any) -> Any:
        axis = canonical_axis(self.axis, len(inputs.shape))
        shape = ops.shape(inputs)
        grouped = (*shape[:axis], shape[axis] // self.chgroup_sz, self.chgroup_sz, *shape[axis + 1 :])
        channels = ops.unstack(ops.reshape(inputs, grouped), self.chgroup_sz, axis=axis + 1)
        return reduce(lambda greatest, x: ops.where(x > greatest, x, greatest), channels)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        (shape,) = shapes
        axis = canonical_axis(self.axis, len(shape))
        channels = shape[axis]
        if channels is not None and channels % self.chgroup_sz:
            raise ShapeError(
                "chgroup_sz does not divide the channels",
                expected=f"a multiple of {self.chgroup_sz}",
                received=channels,
            )
        return [(*shape[:axis], None if channels is None else channels // self.chgroup_sz, *shape[axis + 1 :])]

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return (self.chgroup_sz - 1) * total_count(tops)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param, axis = layer.maxout_param, bottoms[0].axis(1)
        if param.chgroup_sz > 0:
            return cls(chgroup_sz=param.chgroup_sz, axis=axis, **kwargs)
        channels = bottoms[0].shape[1]
        if param.num_output < 1 or channels is None or channels % param.num_output:
            raise LayerError(
                "Maxout needs a number of outputs that divides the channels",
                expected=f"chgroup_sz, or a num_output that divides {channels}",
                received=f"num_output {param.num_output}",
            )
        return cls(chgroup_sz=channels // param.num_output, axis=axis, **kwargs)
