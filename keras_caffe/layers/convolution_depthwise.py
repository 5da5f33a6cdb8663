"""ConvolutionDepthwise (forks of MobileNet: conv_dw_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable
from keras_caffe.layers.convolution import Convolution
from keras_caffe.layers.depthwise_convolution import channels_of, with_convolution
from keras_caffe.registry import register_layer


@serializable
@register_layer("ConvolutionDepthwise")
class ConvolutionDepthwise(Convolution):
    """`Convolution` of each channel by itself, whatever num_output and group say: as many outputs as channels.

    Shapes: as `Convolution`, with C outputs.

    Raises:
        LayerError, ShapeError: as `Convolution`.

    Caffe: src/caffe/layers/conv_dw_layer.cpp (several forks)
    """

    bottoms: Arity = (1, 1)
    tops: Arity = (1, 1)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        channels = channels_of(layer, bottoms[0])
        return super().from_caffe(with_convolution(layer, group=channels, num_output=channels), bottoms, **kwargs)
