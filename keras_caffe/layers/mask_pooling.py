"""MaskPooling (daijifeng001/caffe-mnc: mask_pooling_layer.cpp)."""

from __future__ import annotations

from typing import Any

from keras_caffe.layers.base import Arity, CaffeLayer, serializable
from keras_caffe.layers.images import check_images
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, same_shape


@serializable
@register_layer("MaskPooling")
class MaskPooling(CaffeLayer):
    """y = x m, a mask m for all channels of a pixel; both bottoms have a gradient.

    Shapes: x (N, H, W, C), m (N, H, W, 1) -> (N, H, W, C).

    Raises:
        ShapeError: a bottom without exactly 4 axes, a mask of another size.

    Caffe: src/caffe/layers/mask_pooling_layer.cpp (daijifeng001/caffe-mnc)
    """

    bottoms: Arity = (2, 2)
    stores = "channels_last"
    flops_per_top_value: int | None = 1

    def call(self, inputs: Any) -> Any:
        x, mask = inputs
        return x * mask

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        check_images("MaskPooling", *shapes)
        same_shape((*shapes[0][:-1], 1), shapes[1], "MaskPooling needs one number of the mask for each pixel")
        return [shapes[0]]
