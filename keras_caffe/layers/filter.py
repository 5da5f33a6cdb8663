"""Filter (src/caffe/layers/filter_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError, NetError, Option, ShapeError
from keras_caffe.layers.arguments import wholes
from keras_caffe.layers.base import ALL, Arity, Bottom, CaffeLayer, serializable
from keras_caffe.layout import Order
from keras_caffe.ops.indices import true_places
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, canonical_axis


@serializable
@register_layer("Filter")
class Filter(CaffeLayer):
    """Keeps the images for which the last bottom, the selector, is not 0, in their order.

    Args:
        axes: the tensor axis of the images in each bottom but the selector (0, for one bottom).

    Shapes: any (N, ...) and a selector (N, 1, ...) -> as many (M, ...); M <= N is known once the layer runs.

    Raises:
        NetError, ShapeError: tops and bottoms do not pair, or the selector has another size than (N, 1, ...).

    Caffe: src/caffe/layers/filter_layer.cpp
    """

    bottoms: Arity = (2, None)
    tops: Arity = (1, None)
    flops_per_top_value: int | None = 0  # it moves values
    no_gradient: Sequence[int] = (-1,)
    kept_bottoms = ALL

    def __init__(self, axes: int | Sequence[int] = 0, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)  # Half precision could make a selector 0.
        self.axes: tuple[int, ...] = wholes("axes", axes)
        self.supports_jit = False

    def call(self, inputs: Any) -> Any:
        *blobs, selector = inputs
        rows = true_places(ops.reshape(selector, (-1,)))
        tops = [
            ops.take(ops.cast(x, self.compute_dtype), rows, axis=axis) for x, axis in zip(blobs, self.axes, strict=True)
        ]
        return tops if len(tops) > 1 else tops[0]

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        *blobs, selector = shapes
        if len(self.axes) != len(blobs):
            raise LayerError(
                "axes must be given once per bottom except the selector", expected=len(blobs), received=len(self.axes)
            )
        if not selector or any(size not in (1, None) for size in selector[1:]):
            raise ShapeError("the selector of Filter must have one value per image", expected="(N)", received=selector)
        axes = [canonical_axis(axis, len(shape)) for shape, axis in zip(blobs, self.axes, strict=True)]
        for shape, axis in zip(blobs, axes, strict=True):
            if None not in (shape[axis], selector[0]) and shape[axis] != selector[0]:
                raise ShapeError(
                    "the selector of Filter does not match the batch", expected=shape[axis], received=selector[0]
                )
        return [(*shape[:axis], None, *shape[axis + 1 :]) for shape, axis in zip(blobs, axes, strict=True)]

    @classmethod
    def for_layer(cls, layer: Any) -> type[CaffeLayer]:
        if len(layer.bottom) == 1:
            raise NetError(
                "Filter of one bottom is that of yihui-he/caffe-pro (channel-pruning), which keeps the channels for "
                "which its blob is not 0, and is not built here",
                expected="BVLC's, of bottoms and their selector",
                received="1 bottom",
                fix=Option("custom_layers", {"Filter": ...}, "with a class that computes it"),
            )
        return cls

    @classmethod
    def bottom_orders(cls, layer: Any, bottoms: Sequence[Bottom]) -> list[Order]:
        return [bottom.order for bottom in bottoms]

    def top_orders(self, orders: Sequence[Order], ranks: Sequence[int]) -> list[Order]:
        return list(orders[:-1])

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        if len(layer.top) != len(bottoms) - 1:
            raise NetError(
                "Filter needs one top per bottom except the last", expected=len(bottoms) - 1, received=len(layer.top)
            )
        return cls(axes=[bottom.axis(0) for bottom in bottoms[:-1]], **kwargs)
