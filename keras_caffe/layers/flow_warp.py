"""FlowWarp (lmb-freiburg/flownet2: flow_warp_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.layers.arguments import one_of
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, enum_name, serializable
from keras_caffe.layers.images import warped_shape
from keras_caffe.ops.warp import flow_warp
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape

FILLS = {"ZERO": 0.0, "NOT_A_NUMBER": float("nan")}


@serializable
@register_layer("FlowWarp")
class FlowWarp(CaffeLayer):
    """y[n, i, j] = x[n] at column j + u and row i + v, bilinear, where that lies in [0, W) and [0, H); else the fill.

    The flow (u, v) is in pixels, u in channel 0. Beyond the last pixel's centre the last column or row goes on. Both
    bottoms get a gradient where the place lies inside.

    Args:
        fill_value: "ZERO" (default) or "NOT_A_NUMBER", for places outside and for a flow of NaN.

    Shapes: image (N, H, W, C), flow (N, H, W, 2) -> (N, H, W, C).

    Raises:
        LayerError: an unknown fill. ShapeError: bottoms without exactly 4 axes, a flow of another batch or size than
            the image's, or not of two channels.

    Caffe: src/caffe/layers/flow_warp_layer.cpp (lmb-freiburg/flownet2)
    """

    bottoms: Arity = (2, 2)
    stores = "channels_last"
    flops_per_top_value: int | None = 7  # 4 products, 3 sums

    def __init__(self, fill_value: str = "ZERO", **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)  # Half precision has no room for coordinates.
        self.fill_value: str = one_of("fill_value", fill_value, tuple(FILLS))

    def call(self, inputs: Any) -> Any:
        image, flow = inputs
        return flow_warp(ops.cast(image, self.compute_dtype), flow, FILLS[self.fill_value])

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        return [warped_shape("FlowWarp", *shapes)]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        return cls(fill_value=enum_name(layer.flow_warp_param, "fill_value"), **kwargs)
