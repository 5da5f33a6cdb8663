"""InstanceNorm (GuoShi28/Caffe-Instance-Normalization-and-Guided-Instance-Normalization: instance_norm_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.layers.arguments import number
from keras_caffe.layers.base import CaffeLayer, serializable
from keras_caffe.layers.group_norm import standardized
from keras_caffe.layers.images import check_images
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("InstanceNorm")
class InstanceNorm(CaffeLayer):
    """y = (x - mean) / sqrt(variance + eps) over each channel of each image, without blobs; the variance is biased.

    Args:
        eps: added to the variance; 1e-4, which files cannot change.

    Shapes: (N, H, W, C); the top has the bottom's shape.

    Raises:
        LayerError: eps is no number. ShapeError: a bottom without exactly 4 axes.

    Caffe: instance_norm_layer.cpp (GuoShi28/Caffe-Instance-Normalization-and-Guided-Instance-Normalization)
    """

    stores = "channels_last"
    flops_per_top_value: int | None = 5  # sum, difference; square, sum, quotient
    kept_bottoms: Sequence[int] = (0,)

    def __init__(self, eps: float = 1e-4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.eps: float = number("eps", eps)

    def call(self, inputs: Any) -> Any:
        return standardized(inputs, (1, 2), self.eps)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        check_images("InstanceNorm", *shapes)
        return [shapes[0]]
