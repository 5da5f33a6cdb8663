"""Im2col (src/caffe/layers/im2col_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import ShapeError
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.layers.convolution import Convolution
from keras_caffe.layers.spatial import batch_axes, spatial_params, window
from keras_caffe.layout import Order
from keras_caffe.ops.im2col import im2col
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, canonical_axis, conv_output, count


@serializable
@register_layer("Im2col")
class Im2col(CaffeLayer):
    """The values under every tap of a kernel, as channels: tap t of K of channel c becomes channel c K + t.

    Args:
        kernel_size, stride, pad, dilation: one number per spatial axis, as for `Convolution` (1, 1, 0, 1).

    Shapes: (..., *spatial, C) -> (..., *out, C K), with the output sizes of `Convolution`.

    Raises:
        LayerError, ShapeError: as `Convolution`.

    Caffe: src/caffe/layers/im2col_layer.cpp
    """

    stores = "channels_last"
    flops_per_top_value: int | None = 0  # it moves values
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    pad: tuple[int, ...]
    dilation: tuple[int, ...]

    def __init__(
        self,
        kernel_size: int | Sequence[int] = 1,
        stride: int | Sequence[int] = 1,
        pad: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.kernel_size, self.stride, self.pad, self.dilation = window(kernel_size, stride, pad, dilation)

    def call(self, inputs: Any) -> Any:
        first = batch_axes(inputs.shape, self.kernel_size)
        batch = ops.shape(inputs)[:first]
        flat = inputs if first == 1 else ops.reshape(inputs, (-1, *ops.shape(inputs)[first:]))
        y = im2col(flat, self.kernel_size, stride=self.stride, pad=self.pad, dilation=self.dilation)
        return y if first == 1 else ops.reshape(y, (*batch, *ops.shape(y)[1:]))

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        (shape,) = shapes
        first = batch_axes(shape, self.kernel_size)
        geometry = zip(shape[first:-1], self.kernel_size, self.stride, self.pad, self.dilation, strict=True)
        out = [conv_output(*axis) for axis in geometry]
        if any(size is not None and size < 0 for size in out):
            raise ShapeError("the kernel does not fit into the padded input", received=f"input {shape[first:-1]}")
        return [(*shape[:first], *out, count((shape[-1], *self.kernel_size)))]

    @classmethod
    def bottom_orders(cls, layer: Any, bottoms: Sequence[Bottom]) -> list[Order]:
        return Convolution.bottom_orders(layer, bottoms)

    def top_orders(self, orders: Sequence[Order], ranks: Sequence[int]) -> list[Order]:
        return list(orders)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param, rank = layer.convolution_param, bottoms[0].rank
        return cls(**spatial_params(param, rank - 1 - canonical_axis(param.axis, rank)), **kwargs)
