"""DepthwiseConvolution (yonghenglh6/DepthwiseConvolution: depthwise_conv_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.layers.convolution import Convolution
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Size, canonical_axis


@serializable
@register_layer("DepthwiseConvolution")
class DepthwiseConvolution(Convolution):
    """`Convolution`, each channel a group of its own unless the file says another group.

    Shapes: as `Convolution`.

    Raises:
        LayerError, ShapeError: as `Convolution`.

    Caffe: src/caffe/layers/depthwise_conv_layer.cpp (yonghenglh6/DepthwiseConvolution)
    """

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        if not layer.convolution_param.HasField("group"):
            layer = with_convolution(layer, group=channels_of(layer, bottoms[0]))
        return super().from_caffe(layer, bottoms, **kwargs)


def channels_of(layer: Any, bottom: Bottom) -> Size:
    """The number of channels that a convolution sees."""
    return bottom.shape[canonical_axis(layer.convolution_param.axis, bottom.rank)]


def with_convolution(layer: Any, **fields: Any) -> Any:
    """The LayerParameter with some fields of its ConvolutionParameter set anew."""
    changed = type(layer)(name=layer.name, type=layer.type, convolution_param=layer.convolution_param)
    for name, value in fields.items():
        setattr(changed.convolution_param, name, value)
    return changed
