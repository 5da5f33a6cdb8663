"""MaskResize (daijifeng001/caffe-mnc: mask_resize_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.layers.arguments import per_axis
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.layers.images import check_images
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("MaskResize")
class MaskResize(CaffeLayer):
    """Bilinear resizing: pixel i of the top lies at i H / height; more than half a pixel behind the last one it is 0.

    The gradient is that of the formula.

    Args:
        size: (height, width) of the top in pixels, or one number for both; `output_height` and `output_width` in files.

    Shapes: (N, H, W, C) -> (N, height, width, C).

    Raises:
        LayerError: a size below 1. ShapeError: a bottom without exactly 4 axes.

    Caffe: src/caffe/layers/mask_resize_layer.cpp (daijifeng001/caffe-mnc)
    """

    stores = "channels_last"
    flops_per_top_value: int | None = 7  # 4 products, 3 sums

    def __init__(self, size: int | Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size: tuple[int, ...] = per_axis("size (height, width)", size, 2, 1)

    def call(self, inputs: Any) -> Any:
        y = inputs
        for axis, new in enumerate(self.size, 1):
            y = _along(y, axis, new)
        return y

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        check_images("MaskResize", *shapes)
        return [(shapes[0][0], *self.size, shapes[0][3])]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        return cls((layer.mask_resize_param.output_height, layer.mask_resize_param.output_width), **kwargs)


def _along(x: Any, axis: int, new: int) -> Any:
    old = ops.shape(x)[axis]
    ratio = ops.cast(old, "float32") / new
    place = ops.arange(new, dtype="float32") * ratio
    last = ops.cast(old - 1, "float32")
    first = ops.minimum(ops.floor(place), last)
    part, used = ops.minimum(place, last) - first, place <= last + 0.5
    near, far = (ops.cast(used, "float32") * share for share in (1 - part, part))
    wide = [-1 if i == axis else 1 for i in range(4)]
    at, after = (ops.cast(index, "int32") for index in (first, ops.minimum(first + 1, last)))
    one, other = ops.take(x, at, axis=axis), ops.take(x, after, axis=axis)
    near, far = (ops.cast(ops.reshape(share, wide), x.dtype) for share in (near, far))
    return one * near + other * far
