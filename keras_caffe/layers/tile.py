"""Tile (src/caffe/layers/tile_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.layers.arguments import whole
from keras_caffe.layers.base import Bottom, CaffeLayer, required, serializable
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, canonical_axis


@serializable
@register_layer("Tile")
class Tile(CaffeLayer):
    """The whole bottom `tiles` times one after the other along one axis.

    Args:
        tiles: how many times, at least 1.
        axis: tensor axis (-1).

    Shapes: (..., d, ...) -> (..., tiles d, ...).

    Raises:
        LayerError: the axis is out of range, or `tiles` is missing or below 1.

    Caffe: src/caffe/layers/tile_layer.cpp
    """

    flops_per_top_value: int | None = 0  # it moves values

    def __init__(self, tiles: int, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tiles: int = whole("tiles", tiles, 1)
        self.axis: int = whole("axis", axis)

    def call(self, inputs: Any) -> Any:
        return ops.concatenate([inputs] * self.tiles, axis=self.axis)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        top, axis = list(shapes[0]), canonical_axis(self.axis, len(shapes[0]))
        size = top[axis]
        top[axis] = None if size is None else size * self.tiles
        return [tuple(top)]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.tile_param
        return cls(tiles=required(param, "tiles"), axis=bottoms[0].axis(param.axis), **kwargs)
