"""ChannelNorm (lmb-freiburg/flownet2: channel_norm_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.layers.base import CaffeLayer, serializable
from keras_caffe.layers.images import check_images
from keras_caffe.ops.distances import channel_norm
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, total_count


@serializable
@register_layer("ChannelNorm")
class ChannelNorm(CaffeLayer):
    """y = sqrt(sum of x^2 over the channels); the gradient is x / (y + 1e-9), so 0 where all channels are 0.

    Shapes: (N, H, W, C) -> (N, H, W, 1).

    Raises:
        ShapeError: a bottom without exactly 4 axes.

    Caffe: src/caffe/layers/channel_norm_layer.cpp (lmb-freiburg/flownet2)
    """

    stores = "channels_last"

    def call(self, inputs: Any) -> Any:
        return channel_norm(inputs)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        check_images("ChannelNorm", *shapes)
        return [(*shapes[0][:3], 1)]

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return 2 * total_count(bottoms) + total_count(tops)  # square, sum; root
