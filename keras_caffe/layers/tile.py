"""Tile (src/caffe/layers/tile_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("Tile")
class Tile(CaffeLayer):
    """The whole bottom `tiles` times one after the other along one axis.

    Args:
        tiles: how many times.
        axis: tensor axis.

    Shapes: (..., d, ...) -> (..., tiles d, ...).

    Raises:
        LayerError: the axis is out of range, or `tiles` is missing.

    Caffe: src/caffe/layers/tile_layer.cpp
    """

    flops_per_top_value = 0  # it moves values

    def __init__(self, tiles: int, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tiles, self.axis = tiles, axis

    def call(self, inputs: Any) -> Any:
        return ops.concatenate([inputs] * self.tiles, axis=self.axis)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        top = list(shapes[0])
        top[self.axis] = None if top[self.axis] is None else top[self.axis] * self.tiles  # type: ignore[operator]
        return [tuple(top)]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.tile_param
        if param.tiles < 1:
            raise LayerError("tiles is missing", expected="1 or more", received=param.tiles)
        return cls(tiles=param.tiles, axis=bottoms[0].axis(param.axis), **kwargs)
