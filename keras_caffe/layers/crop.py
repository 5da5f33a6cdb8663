"""Crop (src/caffe/layers/crop_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, canonical_axis, shown_axis


@serializable
@register_layer("Crop")
class Crop(CaffeLayer):
    """The part of bottom 0 that has bottom 1's sizes along the cropped axes and begins at `offset` there.

    Args:
        axes: the cropped tensor axes.
        offset: first kept position along each of them.

    Shapes: two bottoms with equally many axes -> bottom 0's sizes, along the cropped axes bottom 1's.

    Raises:
        LayerError, ShapeError: the axis is out of range, offsets that fit no axes, a part beyond the bottom.

    Caffe: src/caffe/layers/crop_layer.cpp
    """

    bottoms = (2, 2)
    flops_per_top_value = 0  # it moves values

    def __init__(self, axes: Sequence[int], offset: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axes, self.offset = tuple(axes), tuple(offset)

    def call(self, inputs: Any) -> Any:
        x, like = inputs
        window, sizes = [slice(None)] * len(x.shape), ops.shape(like)
        for axis, offset in zip(self.axes, self.offset, strict=True):
            window[axis] = slice(offset, offset + sizes[axis])
        return x[tuple(window)]

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        shape, like = shapes
        if len(shape) != len(like):
            raise ShapeError("Crop needs two bottoms with equally many axes", expected=shape, received=like)
        for axis, offset in zip(self.axes, self.offset, strict=True):
            have, want = shape[axis], like[axis]
            if have is not None and want is not None and have < want + offset:
                raise ShapeError(
                    f"Crop reaches beyond its bottom along axis {shown_axis(shape, axis)}",
                    expected=f"offset + size of at most {have}",
                    received=f"offset {offset}, size {want}",
                )
        return [tuple(like[i] if i in self.axes else size for i, size in enumerate(shape))]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param, bottom = layer.crop_param, bottoms[0]
        cropped = range(canonical_axis(param.axis, bottom.rank), bottom.rank)
        offset = list(param.offset) or [0]
        if len(offset) not in (1, len(cropped)):
            raise LayerError(
                "offset must be given once or once per cropped axis",
                expected=f"0, 1 or {len(cropped)} values",
                received=offset,
            )
        offset = offset * len(cropped) if len(offset) == 1 else offset
        return cls(axes=[bottom.axis(axis) for axis in cropped], offset=offset, **kwargs)
