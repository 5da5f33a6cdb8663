"""Reorg (eric612/MobileNet-YOLO: reorg_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import ShapeError
from keras_caffe.layers.arguments import flag, whole
from keras_caffe.layers.base import Bottom, CaffeLayer, required, serializable
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, Size


@serializable
@register_layer("Reorg")
class Reorg(CaffeLayer):
    """Moves pixels to channels (`reverse`: channels to pixels) as Darknet does.

    With s = stride and c = C / s^2, reverse: y[n, k, i s + a, j s + b] = x[n, (a s + b) c + k, i, j]. Otherwise y holds
    the values that would be reversed into x if both were laid out anew: x as (N, c, H s, W s), y as (N, C, H, W). This
    mixes channels with pixels; trained nets rely on it.

    Args:
        stride: pixels per axis that become channels, or the other way round; at least 1.
        reverse: channels to pixels (False).

    Shapes: (N, C, H, W) -> (N, C s^2, H / s, W / s), reverse (N, C / s^2, H s, W s), in Caffe's order.

    Raises:
        LayerError, ShapeError: no stride, not 4 axes, sizes that the stride does not divide.

    Caffe: src/caffe/layers/reorg_layer.cpp (eric612/MobileNet-YOLO)
    """

    stores = "caffe"
    flops_per_top_value: int | None = 0  # it moves values

    def __init__(self, stride: int, reverse: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stride: int = whole("stride", stride, 1)
        self.reverse: bool = flag("reverse", reverse)

    def call(self, inputs: Any) -> Any:
        s, (batch, channels, height, width) = self.stride, ops.shape(inputs)
        depth = channels // (s * s)
        if self.reverse:
            x = ops.transpose(ops.reshape(inputs, (-1, s, s, depth, height, width)), (0, 3, 4, 1, 5, 2))
            return ops.reshape(x, (batch, depth, height * s, width * s))
        x = ops.transpose(ops.reshape(inputs, (-1, depth, height, s, width, s)), (0, 3, 5, 1, 2, 4))
        return ops.reshape(x, (batch, channels * s * s, height // s, width // s))

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        if len(shapes[0]) != 4:
            raise ShapeError("Reorg needs a bottom with 4 axes", expected="(N, C, H, W)", received=shapes[0])
        batch, channels, height, width = shapes[0]
        s = self.stride
        depth = self._divided(channels, s * s)
        if self.reverse:
            return [(batch, depth, _times(height, s), _times(width, s))]
        return [(batch, _times(channels, s * s), self._divided(height, s), self._divided(width, s))]

    def _divided(self, size: Size, by: int) -> Size:
        if size is not None and size % by:
            raise ShapeError(
                f"Reorg with stride {self.stride} does not fit", expected=f"a multiple of {by}", received=size
            )
        return None if size is None else size // by

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.reorg_param
        return cls(stride=required(param, "stride"), reverse=param.reverse, **kwargs)


def _times(size: Size, factor: int) -> Size:
    return None if size is None else size * factor
