"""EltwiseAffine (happynear/caffe-windows, ducha-aiki/caffe: eltwise_affine_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe import fillers
from keras_caffe.errors import ShapeError
from keras_caffe.layers import arguments
from keras_caffe.layers.arguments import flag, whole
from keras_caffe.layers.base import Blob, Bottom, CaffeLayer, serializable
from keras_caffe.layers.bias import spread
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, canonical_axis, known

SLOPE: fillers.Filler = {"type": "constant", "value": 1.0001}
BIAS: fillers.Filler = {"type": "constant", "value": 0.0001}


@serializable
@register_layer("EltwiseAffine")
class EltwiseAffine(CaffeLayer):
    """y = s_c x + b_c with learned s and b, one for each channel or one for all.

    Args:
        axis: tensor axis of the channels (-1).
        channel_shared: one s and one b for all channels (False).
        filler, bias_filler: of s and b (constant 1.0001, constant 0.0001).

    Shapes: 2 or more axes; the top has the bottom's shape. The blobs are (C), or () if shared.

    Raises:
        LayerError: the axis is out of range. ShapeError: a bottom of fewer than 2 axes.

    Caffe: src/caffe/layers/eltwise_affine_layer.cpp (happynear/caffe-windows)
    """

    flops_per_top_value: int | None = 2
    kept_in_place = True

    def __init__(
        self,
        axis: int = -1,
        channel_shared: bool = False,
        filler: fillers.Filler = SLOPE,  # type: ignore[assignment]
        bias_filler: fillers.Filler = BIAS,  # type: ignore[assignment]
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axis: int = whole("axis", axis)
        self.channel_shared: bool = flag("channel_shared", channel_shared)
        self.filler: fillers.Filler = arguments.filler("filler", filler)
        self.bias_filler: fillers.Filler = arguments.filler("bias_filler", bias_filler)

    def call(self, inputs: Any) -> Any:
        axes, rank = [] if self.channel_shared else [self.axis], len(inputs.shape)
        return inputs * spread(self.slope, axes, rank) + spread(self.bias, axes, rank)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        _check_channels(shapes[0])
        canonical_axis(self.axis, len(shapes[0]))
        return [shapes[0]]

    def blob_table(self, *shapes: Shape) -> list[Blob]:
        shape = () if self.channel_shared else known((shapes[0][self.axis],))
        return [Blob("slope", shape, self.filler), Blob("bias", shape, self.bias_filler)]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param, x = layer.eltwise_affine_param, bottoms[0]
        _check_channels(x.shape)
        given = {
            name: fillers.from_caffe(getattr(param, field))
            for name, field in (("filler", "slope_filler"), ("bias_filler", "bias_filler"))
            if param.HasField(field)
        }
        return cls(axis=x.axis(1), channel_shared=param.channel_shared, **given, **kwargs)


def _check_channels(shape: Shape) -> None:
    if len(shape) < 2:
        raise ShapeError("EltwiseAffine needs a channel axis", expected="2 axes or more", received=shape)
