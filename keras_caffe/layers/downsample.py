"""Downsample (lmb-freiburg/flownet2: downsample_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import ShapeError
from keras_caffe.layers.arguments import optional, per_axis
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable
from keras_caffe.layers.images import check_images, resized_shape, wanted_size
from keras_caffe.ops.resample import downsample
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("Downsample")
class Downsample(CaffeLayer):
    """Means of the pixels around, weighted with a triangle; corners fall on corners, and NaN counts as missing.

    With s = (W - 1) / (W' - 1) pixel x of the top lies at column s x, where the weight of a pixel at distance d is
    max(0, 1 - d / s); rows likewise. A pixel of the top is NaN where the missing ones weigh more than half of what the
    others do. A bottom that has the top's size already is the top.

    Args:
        size: (height, width) of the top in pixels, or one number for both; None (default): that of the second bottom.

    Shapes: (N, H, W, C)[, (N, height, width, any)] -> (N, height, width, C).

    Raises:
        LayerError, ShapeError: no size or two, not 4 axes, a top with a single row or column that is not the bottom's
            size: the fork divides by its size less 1.

    Caffe: src/caffe/layers/downsample_layer.cu (lmb-freiburg/flownet2)
    """

    bottoms: Arity = (1, 2)
    stores = "channels_last"
    flops_per_top_value: int | None = None  # the sizes decide how many pixels count
    has_gradient = False

    def __init__(self, size: int | Sequence[int] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size: tuple[int, ...] | None = optional(per_axis, "size (height, width)", size, 2, 1)

    def call(self, inputs: Any) -> Any:
        image, (height, width) = wanted_size(inputs, self.size)
        image = ops.stop_gradient(image)
        known = isinstance(height, int) and isinstance(width, int)
        return image if known and (height, width) == tuple(image.shape[1:3]) else downsample(image, height, width)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        check_images("Downsample", *shapes)
        top = resized_shape("Downsample", shapes, self.size)
        if 1 in top[1:3] and None not in shapes[0][1:3] and top[1:3] != tuple(shapes[0][1:3]):
            raise ShapeError("Downsample cannot make a single row or column", expected="2 or more", received=top[1:3])
        return [top]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.downsample_param
        return cls(size=None if len(bottoms) == 2 else (param.top_height, param.top_width), **kwargs)
