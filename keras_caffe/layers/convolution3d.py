"""Convolution3D (facebookarchive/C3D: convolution3d_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe import fillers
from keras_caffe.errors import LayerError
from keras_caffe.layers.arguments import per_axis
from keras_caffe.layers.base import Arity, Blob, Bottom, CaffeLayer, required, serializable
from keras_caffe.layers.convolution import Convolution
from keras_caffe.layers.images import check_images
from keras_caffe.layout import Order, channels_last
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("Convolution3D")
class Convolution3D(Convolution):
    """Cross-correlation over frames, rows and columns: a `Convolution` of three axes without groups or dilation.

    The message's filter_group splits the work and must divide num_output; every filter sees all channels. Its `group`
    has no effect, as in the fork.

    Args:
        num_output: number of output channels.
        kernel_size: (frames, rows, columns), or one number for all (1). Files must give it, and kernel_depth.
        stride, pad: likewise (1, 0).
        bias_term: add a bias (True).
        weight_filler, bias_filler: see `keras_caffe.fillers` (0).

    Shapes: (N, L, H, W, C) -> (N, L', H', W', num_output). The weight blob is (num_output, C, *kernel), the bias blob
    (1, 1, 1, 1, num_output).

    Raises:
        LayerError, ShapeError: as `Convolution`; a bottom without exactly 5 axes.

    Caffe: src/caffe/layers/convolution3d_layer.cpp (facebookarchive/C3D)
    """

    bottoms: Arity = (1, 1)
    tops: Arity = (1, 1)

    def __init__(
        self,
        num_output: int,
        kernel_size: int | Sequence[int] = 1,
        stride: int | Sequence[int] = 1,
        pad: int | Sequence[int] = 0,
        bias_term: bool = True,
        weight_filler: fillers.Filler = "constant",
        bias_filler: fillers.Filler = "constant",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            num_output,
            per_axis("kernel_size", kernel_size, 3, 1),
            per_axis("stride", stride, 3, 1),
            per_axis("pad", pad, 3),
            bias_term=bias_term,
            weight_filler=weight_filler,
            bias_filler=bias_filler,
            **kwargs,
        )

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        check_images(type(self).__name__, *shapes, axes=5)
        return super().top_shapes(*shapes)

    def blob_table(self, *shapes: Shape) -> list[Blob]:
        kernel, *bias = super().blob_table(*shapes)
        return [kernel, *(blob._replace(shape=(1, 1, 1, 1, self.num_output)) for blob in bias)]

    @classmethod
    def bottom_orders(cls, layer: Any, bottoms: Sequence[Bottom]) -> list[Order]:
        return [channels_last(bottom.rank) for bottom in bottoms]

    @classmethod
    def has_bias(cls, layer: Any) -> bool:
        """Whether the file asks for a bias."""
        return layer.convolution3d_param.bias_term

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.convolution3d_param
        outputs, size = required(param, "num_output"), required(param, "kernel_size")
        if not param.filter_group or outputs % param.filter_group:
            expected = f"a divisor of num_output {outputs}"
            raise LayerError("filter_group does not divide the filters", expected=expected, received=param.filter_group)
        return cls(
            num_output=outputs,
            kernel_size=(required(param, "kernel_depth"), size, size),
            stride=(param.temporal_stride, param.stride, param.stride),
            pad=(param.temporal_pad, param.pad, param.pad),
            bias_term=cls.has_bias(layer),
            weight_filler=fillers.from_caffe(param.weight_filler),
            bias_filler=fillers.from_caffe(param.bias_filler),
            **kwargs,
        )
