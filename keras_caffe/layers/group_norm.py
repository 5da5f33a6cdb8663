"""GroupNorm (blankWorld/GroupNorm-caffe: group_norm_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import ShapeError
from keras_caffe.layers.arguments import number, whole
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, known


@serializable
@register_layer("GroupNorm")
class GroupNorm(CaffeLayer):
    """y = (x - mean) / sqrt(variance + eps) over each group of neighbouring channels of each image.

    The variance is biased. There are no blobs: a Scale follows.

    Args:
        groups: number of groups, which divides that of the channels (32); `group_num` in files.
        eps: added to the variance (1e-5).

    Shapes: (N, ..., C); the top has the bottom's shape.

    Raises:
        LayerError: no group. ShapeError: no channel axis, a number of groups that does not divide it.

    Caffe: group_norm_layer.cpp (blankWorld/GroupNorm-caffe)
    """

    stores = "channels_last"
    flops_per_top_value = 5  # sum, difference; square, sum, quotient
    kept_bottoms = (0,)

    def __init__(self, groups: int = 32, eps: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.groups, self.eps = whole("groups", groups, 1), number("eps", eps)

    def call(self, inputs: Any) -> Any:
        shape = ops.shape(inputs)
        return ops.reshape(standardized(ops.reshape(inputs, self._grouped(shape)), (1, 3), self.eps), shape)

    def _grouped(self, shape: Any) -> tuple[Any, ...]:
        """(N, pixels, groups, channels of a group)"""
        pixels = 1
        for size in shape[1:-1]:
            pixels = pixels * size
        return (shape[0], pixels, self.groups, shape[-1] // self.groups)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        if len(shapes[0]) < 2:
            raise ShapeError("GroupNorm needs a channel axis", expected="2 axes or more", received=shapes[0])
        (channels,) = known(shapes[0][-1:])
        if channels % self.groups:
            what = "the number of groups does not divide the channels"
            raise ShapeError(what, expected=f"a divisor of {channels}", received=self.groups)
        return [shapes[0]]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        return cls(groups=layer.group_norm_param.group_num, eps=layer.group_norm_param.eps, **kwargs)


def standardized(x: Any, axes: Sequence[int], eps: float) -> Any:
    """(x - mean) / sqrt(biased variance + eps) over these axes."""
    centred = x - ops.mean(x, axis=axes, keepdims=True)
    return centred / ops.sqrt(ops.mean(ops.square(centred), axis=axes, keepdims=True) + eps)
