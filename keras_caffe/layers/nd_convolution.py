"""NdConvolution (chuckcho/video-caffe: cudnn_ndconv_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe import fillers
from keras_caffe.errors import LayerError
from keras_caffe.layers.base import Bottom, CaffeLayer, required, serializable
from keras_caffe.layers.convolution import Convolution
from keras_caffe.layers.spatial import shape_params
from keras_caffe.layout import Order, channels_last
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("NdConvolution")
class NdConvolution(Convolution):
    """`Convolution` over any number of spatial axes, of which those that end up with size 1 are dropped from the top.

    It has `Convolution`'s arguments. In files kernel, pad and stride are called kernel_shape, pad_shape and
    stride_shape, with one dim per spatial axis. An axis whose size is open is never dropped.

    Shapes: (N, *spatial, C) -> (N, *out, num_output), without the sizes of 1 in *out.

    Raises:
        LayerError, ShapeError: as `Convolution`; another number of dims than spatial axes; kernel_size and its like;
            dilation, which the fork does not read.

    Caffe: src/caffe/layers/cudnn_ndconv_layer.cpp (chuckcho/video-caffe)
    """

    def _one(self, x: Any) -> Any:
        y = super()._one(x)
        single = [axis for axis, size in enumerate(y.shape[1:-1], 1) if size == 1]
        return ops.squeeze(y, axis=single) if single else y

    def _top_shape(self, shape: Shape) -> Shape:
        batch, *out, channels = super()._top_shape(shape)
        return (batch, *(size for size in out if size != 1), channels)

    def top_orders(self, orders: Sequence[Order], ranks: Sequence[int]) -> list[Order]:
        return [channels_last(rank) for rank in ranks]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.convolution_param
        if any(dilation != 1 for dilation in param.dilation):
            raise LayerError("NdConvolution has no dilation", fix="Delete it: the fork does not read it.")
        return cls(
            num_output=required(param, "num_output"),
            **shape_params(param, bottoms[0].rank - 2),
            group=param.group,
            bias_term=param.bias_term,
            weight_filler=fillers.from_caffe(param.weight_filler),
            bias_filler=fillers.from_caffe(param.bias_filler),
            **kwargs,
        )
