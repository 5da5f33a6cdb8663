"""Warp (twhui/LiteFlowNet: warp_layer.cpp)."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_caffe.layers.base import Arity, CaffeLayer, serializable
from keras_caffe.layers.images import warped_shape
from keras_caffe.ops.warp import warp
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("Warp")
class Warp(CaffeLayer):
    """y[n, i, j] = x[n] at the coordinates that the second bottom has at (i, j): bilinear, and 0 outside the image.

    Coordinates are absolute, in pixels: the column in channel 0, the row in channel 1 (see `Grid`). Of the four pixels
    around them those outside the image count as 0. Both bottoms get a gradient. Where a coordinate is NaN, y is 0.

    Shapes: image (N, H, W, C), coordinates (N, H, W, 2) -> (N, H, W, C).

    Raises:
        ShapeError: bottoms without exactly 4 axes, coordinates of another batch or size than the image's, or not two.

    Caffe: src/caffe/layers/warp_layer.cpp (twhui/LiteFlowNet)
    """

    bottoms: Arity = (2, 2)
    stores = "channels_last"
    flops_per_top_value: int | None = 7  # 4 products, 3 sums

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)  # Half precision has no room for coordinates.

    def call(self, inputs: Any) -> Any:
        image, coordinates = inputs
        return warp(ops.cast(image, self.compute_dtype), coordinates)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        return [warped_shape("Warp", *shapes)]
