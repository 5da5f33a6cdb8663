"""Deconvolution (src/caffe/layers/deconv_layer.cpp)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from keras_caffe.errors import LayerError
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.layers.convolution import Convolution
from keras_caffe.ops.convolution import deconvolution
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, Size, Sizes, deconv_output, total_count


@serializable
@register_layer("Deconvolution")
class Deconvolution(Convolution):
    """The adjoint of `Convolution`, with the same arguments: o = s(i-1) + d(k-1)+1 - 2p per spatial axis.

    Shapes: (..., *spatial, C_in) -> (..., *out, num_output). The weight blob is (C_in, num_output / group, *kernel), so
    Caffe's fan-in for fillers counts output channels.

    Raises:
        LayerError, ShapeError: as `Convolution`.

    Examples:
        >>> keras_caffe.layers.Deconvolution(16, kernel_size=4, stride=2, pad=1).compute_output_shape((1, 8, 8, 3))
        (1, 16, 16, 16)

    Caffe: src/caffe/layers/deconv_layer.cpp
    """

    kernel_op: Callable[..., Any] = staticmethod(deconvolution)
    output_size: Callable[..., Size] = staticmethod(deconv_output)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        holes = [name for name in ("hole", "hole_h", "hole_w") if layer.convolution_param.HasField(name)]
        if holes:  # that Caffe passes over it in silence
            raise LayerError(
                f"a Deconvolution has no {holes[0]}; DeepLab's Caffe reads it in Convolution and Im2col alone"
            )
        return super().from_caffe(layer, bottoms, **kwargs)

    def weight_shape(self, channels: Size) -> Sizes:
        return (self.check_group(channels), self.num_output // self.group, *self.kernel_size)

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return 2 * self.taps(bottoms[0]) * total_count(bottoms) + self.bias_term * total_count(tops)
