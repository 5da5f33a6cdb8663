"""Crop (src/caffe/layers/crop_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import ShapeError
from keras_caffe.layers.arguments import distinct_axes, per_axis
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, canonical_axis, shown_axis


@serializable
@register_layer("Crop")
class Crop(CaffeLayer):
    """The part of bottom 0 that has bottom 1's sizes along the cropped axes and begins at `offset` there.

    Args:
        axes: the cropped tensor axes.
        offset: first kept position along each of them, or one for all (0).

    Shapes: two bottoms with equally many axes -> bottom 0's sizes, along the cropped axes bottom 1's.

    Raises:
        LayerError, ShapeError: the axis is out of range, offsets that fit no axes, a part beyond the bottom.

    Caffe: src/caffe/layers/crop_layer.cpp
    """

    bottoms: Arity = (2, 2)
    flops_per_top_value: int | None = 0  # it moves values

    def __init__(self, axes: int | Sequence[int], offset: int | Sequence[int] = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axes: tuple[int, ...] = distinct_axes("axes", axes)
        self.offset: tuple[int, ...] = per_axis("offset", offset, len(self.axes))

    def call(self, inputs: Any) -> Any:
        x, like = inputs
        window, sizes = [slice(None)] * len(x.shape), ops.shape(like)
        for axis, offset in zip(self.axes, self.offset, strict=True):
            window[axis] = slice(offset, offset + sizes[axis])
        return x[tuple(window)]

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        shape, like = shapes
        if len(shape) != len(like):
            raise ShapeError("Crop needs two bottoms with the same number of axes", expected=shape, received=like)
        axes = distinct_axes("axes", self.axes, len(shape))
        for axis, offset in zip(axes, self.offset, strict=True):
            have, want = shape[axis], like[axis]
            if have is not None and want is not None and have < want + offset:
                raise ShapeError(
                    f"Crop reaches beyond its bottom along axis {shown_axis(shape, axis)}",
                    expected=f"offset + size of at most {have}",
                    received=f"offset {offset}, size {want}",
                )
        return [tuple(like[i] if i in axes else size for i, size in enumerate(shape))]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param, bottom = layer.crop_param, bottoms[0]
        cropped = range(canonical_axis(param.axis, bottom.rank), bottom.rank)
        offset = list(param.offset) if len(param.offset) > 1 else sum(param.offset)  # none: 0
        return cls(axes=[bottom.axis(axis) for axis in cropped], offset=offset, **kwargs)
