"""Input: blobs that the caller fills (src/caffe/layers/input_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.errors import LayerError
from keras_caffe.layers.source import SourceLayer
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@register_layer("Input")
class Input(SourceLayer):
    """Tops in the declared shapes: one shape for all tops, or one each.

    Shapes: no bottoms; top i has `input_param.shape[i]`, or `shape[0]` if there is only one.

    Raises:
        LayerError: the number of shapes is neither 0, 1 nor the number of tops.

    Caffe: src/caffe/layers/input_layer.cpp
    """

    @classmethod
    def declared_shapes(cls, layer: Any) -> Sequence[Shape | None]:
        shapes = [tuple(shape.dim) for shape in layer.input_param.shape]
        if len(shapes) not in (0, 1, len(layer.top)):
            raise LayerError(
                "wrong number of shapes in input_param", expected=f"0, 1 or {len(layer.top)}", received=len(shapes)
            )
        if not shapes:  # Caffe leaves such a blob without axes.
            shapes = [()]
        return shapes * len(layer.top) if len(shapes) == 1 else shapes
