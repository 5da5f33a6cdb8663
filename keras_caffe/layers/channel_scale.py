"""ChannelScale (happynear/caffe-windows: channel_scale_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers.arguments import flag
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable
from keras_caffe.ops.losses import with_gradient_of
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, same_shape


@serializable
@register_layer("ChannelScale")
class ChannelScale(CaffeLayer):
    """y = s x with one factor s for all channels of a pixel.

    Args:
        do_forward: scale at all; False gives y = x (True).
        do_backward_feature: the gradient of x is s times the top's; False passes it on as it is (True).
        do_backward_scale: s has a gradient, the sum over the channels of x times the top's (True).

    Shapes: x (N, H, W, C), s (N, H, W, 1) -> (N, H, W, C).

    Raises:
        LayerError: `global_scale`, which replaces s by a learned number. ShapeError: other shapes.

    Caffe: src/caffe/layers/channel_scale_layer.cpp (happynear/caffe-windows)
    """

    bottoms: Arity = (2, 2)
    stores = "channels_last"
    flops_per_top_value: int | None = 1

    def __init__(
        self,
        do_forward: bool = True,
        do_backward_feature: bool = True,
        do_backward_scale: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.do_forward: bool = flag("do_forward", do_forward)
        self.do_backward_feature: bool = flag("do_backward_feature", do_backward_feature)
        self.do_backward_scale: bool = flag("do_backward_scale", do_backward_scale)

    def call(self, inputs: Any) -> Any:
        x, scale = inputs
        if self.do_forward and self.do_backward_feature:
            return x * (scale if self.do_backward_scale else ops.stop_gradient(scale))
        by_feature = x * ops.stop_gradient(scale) if self.do_backward_feature else x
        by_scale = ops.stop_gradient(x) * scale if self.do_backward_scale else 0
        return with_gradient_of(x * scale if self.do_forward else x, by_feature + by_scale)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        x, scale = shapes
        if len(x) != 4:
            raise ShapeError("ChannelScale needs bottoms with 4 axes", expected="(N, C, H, W)", received=x)
        same_shape((*x[:-1], 1), scale, "ChannelScale needs one factor for each pixel")
        return [x]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.channel_scale_param
        if param.global_scale:
            raise LayerError(
                "global_scale replaces the factors by a learned number",
                fix="Write the layer as a Power with its scale.",
            )
        wanted = {n: getattr(param, n) for n in ("do_forward", "do_backward_feature", "do_backward_scale")}
        return cls(**wanted, **kwargs)
