"""ShuffleChannel (farmingyard/ShuffleNet: shuffle_channel_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import ShapeError
from keras_caffe.layers.arguments import whole
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.layers.legacy import legacy_axis, legacy_bottom_order, legacy_shape, legacy_top_orders
from keras_caffe.layout import Order
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, canonical_axis


@serializable
@register_layer("ShuffleChannel")
class ShuffleChannel(CaffeLayer):
    """Deals the channels of `group` equal groups out in turn: top channel j group + i is channel j of group i.

    Args:
        group: number of groups, at least 1 (1).
        axis: tensor axis of the channels in the four-axis top (-1).

    Shapes: 2 to 4 axes; the top has 4, missing ones of size 1.

    Raises:
        LayerError, ShapeError: groups that do not divide the channels, other numbers of axes.

    Caffe: src/caffe/layers/shuffle_channel_layer.cpp (farmingyard/ShuffleNet)
    """

    flops_per_top_value: int | None = 0  # it moves values

    def __init__(self, group: int = 1, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.group: int = whole("group", group, 1)
        self.axis: int = whole("axis", axis)

    def call(self, inputs: Any) -> Any:
        shape = legacy_shape(ops.shape(inputs))
        axis = canonical_axis(self.axis, len(shape))
        grouped = (*shape[:axis], self.group, shape[axis] // self.group, *shape[axis + 1 :])
        return ops.reshape(ops.swapaxes(ops.reshape(inputs, grouped), axis, axis + 1), shape)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        shape = legacy_shape(shapes[0])
        if len(shapes[0]) < 2:
            raise ShapeError("ShuffleChannel needs channels", expected="2 to 4 axes", received=shapes[0])
        channels = shape[canonical_axis(self.axis, len(shape))]
        if channels is not None and channels % self.group:
            raise ShapeError(
                "group does not divide the channels", expected=f"a multiple of {self.group}", received=channels
            )
        return [shape]

    @classmethod
    def bottom_orders(cls, layer: Any, bottoms: Sequence[Bottom]) -> list[Order]:
        return [legacy_bottom_order(bottoms[0])]

    def top_orders(self, orders: Sequence[Order], ranks: Sequence[int]) -> list[Order]:
        return legacy_top_orders(orders, ranks)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        return cls(group=layer.shuffle_channel_param.group, axis=legacy_axis(bottoms[0].order, 1), **kwargs)
