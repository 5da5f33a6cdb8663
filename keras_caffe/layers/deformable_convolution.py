"""DeformableConvolution (unsky/Deformable-ConvNets-caffe, src/caffe/layers/deformable_conv_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe import fillers
from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers.arguments import whole
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable
from keras_caffe.layers.convolution import Convolution
from keras_caffe.layers.loss_bottoms import check_size
from keras_caffe.layout import Order, channels_last
from keras_caffe.ops.deformable import deformed_columns
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("DeformableConvolution")
class DeformableConvolution(Convolution):
    """A convolution of two axes whose taps are moved: version 1 of deformable convolutions.

    Tap (i, j) of output (y, x) reads the bottom at (y s - p + i d + dy, x s - p + j d + dx), between the four pixels
    around; from the last row or column on that one counts alone, and outside the bottom it reads 0. The offsets of the
    g-th of `deformable_group` parts of the channels stand in channels ((g k_h + i) k_w + j) 2 for dy and the next for
    dx. The gradients are those of this formula for all images of a batch; the fork's are right for one image only.

    Args:
        num_output, kernel_size, stride, pad, dilation, group, bias_term, weight_filler, bias_filler: as in Convolution.
        deformable_group: the channels are split into this many parts with offsets of their own (4).

    Shapes: (N, H, W, C), offsets (N, H, W, 2 k_h k_w deformable_group) -> (N, H, W, num_output).

    Raises:
        LayerError: parts that do not divide the channels. ShapeError: offsets of another size, or a top of another
            size than the bottom, which the fork's kernels cannot address.

    Caffe: src/caffe/layers/deformable_conv_layer.cpp (unsky/Deformable-ConvNets-caffe)
    """

    bottoms: Arity = (2, 2)
    tops: Arity = (1, 1)

    def __init__(
        self,
        num_output: int,
        kernel_size: int | Sequence[int] = 1,
        stride: int | Sequence[int] = 1,
        pad: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        group: int = 1,
        bias_term: bool = True,
        weight_filler: fillers.Filler = "constant",
        bias_filler: fillers.Filler = "constant",
        deformable_group: int = 4,
        **kwargs: Any,
    ) -> None:
        geometry = kernel_size, stride, pad, dilation
        super().__init__(num_output, *geometry, group, bias_term, weight_filler, bias_filler, **kwargs)
        self.deformable_group: int = whole("deformable_group", deformable_group, 1)
        if len(self.kernel_size) != 2:
            raise LayerError("DeformableConvolution has two axes", expected="two sizes", received=self.kernel_size)

    def call(self, inputs: Any) -> Any:
        geometry = {"kernel": self.kernel_size, "stride": self.stride, "pad": self.pad, "dilation": self.dilation}
        columns = deformed_columns(*inputs, **geometry, groups=self.deformable_group)
        taps, depth, outputs = columns.shape[3], self.kernel.shape[2], self.num_output // self.group
        columns = ops.reshape(columns, (*ops.shape(columns)[:3], taps, self.group, depth))
        kernel = ops.reshape(self.kernel, (taps, depth, self.group, outputs))
        y = ops.einsum("nyxtgc,tcgo->nyxgo", columns, kernel)
        y = ops.reshape(y, (*ops.shape(y)[:3], self.num_output))
        return y + self.bias if self.bias_term else y

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        bottom, offsets = shapes
        if len(bottom) != 4 or len(offsets) != 4:
            raise ShapeError("DeformableConvolution needs bottoms with 4 axes", received=shapes)
        if (self.check_group(bottom[3]) or 0) % self.deformable_group:
            raise LayerError(
                f"deformable_group {self.deformable_group} does not divide the channels", received=bottom[3]
            )
        taps = self.kernel_size[0] * self.kernel_size[1]
        check_size(offsets[3], 2 * taps * self.deformable_group, "wrong number of offsets for each pixel")
        (top,) = super().top_shapes(bottom)
        for other, what in ((offsets, "the offsets"), (top, "the top")):
            for have, want in zip(other[:3], bottom, strict=False):
                check_size(have, want, f"{what} must be as large as the bottom")
        return [top]

    @classmethod
    def bottom_orders(cls, layer: Any, bottoms: Sequence[Bottom]) -> list[Order]:
        return [channels_last(b.rank) for b in bottoms]

    def top_orders(self, orders: Sequence[Order], ranks: Sequence[int]) -> list[Order]:
        return [channels_last(rank) for rank in ranks]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = type(layer.deformable_convolution_param)()
        param.CopyFrom(layer.deformable_convolution_param)
        param.ClearField("deformable_group")
        plain = type(layer)()
        plain.convolution_param.ParseFromString(
            param.SerializeToString()
        )  # The fields have ConvolutionParameter's numbers.
        groups = layer.deformable_convolution_param.deformable_group
        return super().from_caffe(plain, bottoms[:1], deformable_group=groups, **kwargs)
