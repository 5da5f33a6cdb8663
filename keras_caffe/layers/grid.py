"""Grid (twhui/LiteFlowNet: grid_layer.cpp)."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_caffe.layers.base import CaffeLayer, serializable
from keras_caffe.layers.images import check_images
from keras_caffe.layers.loss import full_precision
from keras_caffe.ops.warp import grid
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("Grid")
class Grid(CaffeLayer):
    """Each pixel's coordinates: its column in channel 0, its row in channel 1. `Warp` reads them with a flow added.

    It computes in the precision of variables: half precision has no room for the coordinates of large images.

    Shapes: (N, H, W, C) -> (N, H, W, 2).

    Raises:
        ShapeError: a bottom without exactly 4 axes.

    Caffe: src/caffe/layers/grid_layer.cpp (twhui/LiteFlowNet)
    """

    stores = "channels_last"
    flops_per_top_value: int | None = 0
    has_gradient = False

    def __init__(self, *, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(dtype=full_precision(dtype), **kwargs)

    def call(self, inputs: Any) -> Any:
        batch, height, width, _ = ops.shape(inputs)
        return ops.broadcast_to(grid(height, width, inputs.dtype), (batch, height, width, 2))

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        check_images("Grid", *shapes)
        return [(*shapes[0][:3], 2)]
