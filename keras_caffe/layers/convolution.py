"""Convolution (src/caffe/layers/base_conv_layer.cpp, conv_layer.cpp)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

from keras_caffe import fillers
from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers.arguments import filler, flag, whole
from keras_caffe.layers.base import Arity, Blob, Bottom, CaffeLayer, required, serializable
from keras_caffe.layers.spatial import batch_axes, spatial_params, window
from keras_caffe.layout import Order, axis_last
from keras_caffe.ops.convolution import convolution
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, Size, Sizes, canonical_axis, conv_output, same_shape, total_count


@serializable
@register_layer("Convolution")
class Convolution(CaffeLayer):
    """Cross-correlation over any number of spatial axes, in groups.

    y[n, o, c] = b[c] + sum over taps t and input channels of x[n, o s - p + t d, .] w[t, ., c], zeros outside x;
    o = trunc((i + 2p - (d(k-1)+1)) / s) + 1 per spatial axis (trunc, not floor: an input smaller than the kernel can
    still give one output). Some of TensorFlow's kernels skip the zeros outside; in Caffe a w of NaN or infinity counts.

    Args:
        num_output: number of output channels.
        kernel_size: one number per spatial axis, () for none; a number alone (1) means two axes. Files must give it.
        stride, pad, dilation: one number per spatial axis, or one for all (1, 0, 1); DeepLab's `hole` is dilation.
        group: the channels are split into this many groups (1).
        bias_term: add a bias (True).
        weight_filler, bias_filler: see `keras_caffe.fillers` (0).

    Shapes: (..., *spatial, C_in) -> (..., *out, num_output), batch axes before; bottoms of one shape give a top each.

    Raises:
        LayerError, ShapeError: parameters that Caffe refuses, channels that the groups do not divide.

    Examples:
        >>> keras_caffe.layers.Convolution(16, kernel_size=3, stride=2).compute_output_shape((1, 8, 8, 3))
        (1, 3, 3, 16)

    Caffe: src/caffe/layers/conv_layer.cpp
    """

    bottoms: Arity = (1, None)
    tops: Arity = (1, None)
    stores = "channels_last"
    kernel_size: Sizes
    stride: Sizes
    pad: Sizes
    dilation: Sizes

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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_output: int = whole("num_output", num_output, 1)
        self.group: int = whole("group", group, 1)
        self.bias_term: bool = flag("bias_term", bias_term)
        self.kernel_size, self.stride, self.pad, self.dilation = window(kernel_size, stride, pad, dilation)
        self.weight_filler: fillers.Filler = filler("weight_filler", weight_filler)
        self.bias_filler: fillers.Filler = filler("bias_filler", bias_filler if self.bias_term else "constant")

    def call(self, inputs: Any) -> Any:
        return [self._one(x) for x in inputs] if isinstance(inputs, (list, tuple)) else self._one(inputs)

    def _one(self, x: Any) -> Any:
        batch = ops.shape(x)[: batch_axes(x.shape, self.kernel_size)]
        flat = x if len(batch) == 1 else ops.reshape(x, (-1, *x.shape[len(batch) :]))
        geometry = {"stride": self.stride, "pad": self.pad, "dilation": self.dilation}
        y = self.kernel_op(flat, self.kernel, **geometry, group=self.group)
        y = y + self.bias if self.bias_term else y
        return y if len(batch) == 1 else ops.reshape(y, (*batch, *ops.shape(y)[1:]))

    kernel_op: Callable[..., Any] = staticmethod(convolution)
    output_size: Callable[..., Size] = staticmethod(conv_output)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        for other in shapes[1:]:
            same_shape(shapes[0], other, "all bottoms of a convolution must have one shape")
        return [self._top_shape(shape) for shape in shapes]

    def _top_shape(self, shape: Shape) -> Shape:
        first = batch_axes(shape, self.kernel_size)
        geometry = zip(shape[first:-1], self.kernel_size, self.stride, self.pad, self.dilation, strict=True)
        out = [self.output_size(*axis) for axis in geometry]
        if any(size is not None and size < 0 for size in out):
            received = f"input {shape[first:-1]}, kernel {self.kernel_size}, output {tuple(out)}"
            expected = "a kernel that fits into the padded input"
            raise ShapeError("the output would have a negative size", expected=expected, received=received)
        return (*shape[:first], *out, self.num_output)

    def blob_table(self, *shapes: Shape) -> list[Blob]:
        rank = len(self.kernel_size)
        kernel = Blob("kernel", self.weight_shape(shapes[0][-1]), self.weight_filler, (*range(2, 2 + rank), 1, 0))
        return [kernel, Blob("bias", (self.num_output,), self.bias_filler)][: 1 + self.bias_term]

    def weight_shape(self, channels: Size) -> Sizes:
        """Shape of the weight blob in Caffe's order."""
        return (self.num_output, self.check_group(channels) // self.group, *self.kernel_size)

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return (2 * self.taps(bottoms[0]) + self.bias_term) * total_count(tops)

    def taps(self, bottom: Shape) -> int:
        """How many weights meet in one value of the top (of a deconvolution: go out from one of the bottom)."""
        return total_count([self.weight_shape(bottom[-1 - len(self.kernel_size)])[1:]])

    def check_group(self, channels: Size) -> int:
        """The input channels. Raises LayerError if they are unknown or `group` divides them or the outputs not."""
        if channels is None or channels % self.group or self.num_output % self.group:
            received = f"{channels} input channels, num_output {self.num_output}"
            expected = f"input channels and num_output that are multiples of {self.group}"
            raise LayerError(f"group {self.group} does not divide the channels", expected=expected, received=received)
        return channels

    @classmethod
    def bottom_orders(cls, layer: Any, bottoms: Sequence[Bottom]) -> list[Order]:
        return [axis_last(b.rank, canonical_axis(layer.convolution_param.axis, b.rank)) for b in bottoms]

    def top_orders(self, orders: Sequence[Order], ranks: Sequence[int]) -> list[Order]:
        return list(orders)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.convolution_param
        return cls(
            num_output=required(param, "num_output"),
            **spatial_params(param, bottoms[0].rank - 1 - canonical_axis(param.axis, bottoms[0].rank)),
            group=param.group,
            bias_term=param.bias_term,
            weight_filler=fillers.from_caffe(param.weight_filler),
            bias_filler=fillers.from_caffe(param.bias_filler),
            **kwargs,
        )
