"""MemoryData: arrays that the program sets (src/caffe/layers/memory_data_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.layers.base import Arity
from keras_caffe.layers.records import check_transform, positive
from keras_caffe.layers.source import SourceLayer
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@register_layer("MemoryData")
class MemoryData(SourceLayer):
    """Inputs of the stated size.

    Shapes: no bottoms; data (batch_size, channels, height, width), label (batch_size,).

    Raises:
        LayerError: a size is missing or 0.

    Caffe: src/caffe/layers/memory_data_layer.cpp
    """

    tops: Arity = (2, 2)

    @classmethod
    def declared_shapes(cls, layer: Any) -> Sequence[Shape | None]:
        check_transform(layer.transform_param)
        sizes = ("batch_size", "channels", "height", "width")
        shape = tuple(positive(layer.memory_data_param, name, "memory_data_param") for name in sizes)
        # Caffe reshapes the label to (batch_size, 1, 1, 1) once data arrive; nets are set up with this shape.
        return [shape, shape[:1]]
