"""ImageData: images named in a list file (src/caffe/layers/image_data_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.errors import LayerError
from keras_caffe.layers.base import Arity
from keras_caffe.layers.records import RecordLayer
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Size


@register_layer("ImageData")
class ImageData(RecordLayer):
    """Inputs in the shape of the images that Caffe would read; `keras_caffe.dataset` reads them.

    Shapes: no bottoms; data (batch_size, 3 or 1 with is_color: false, H, W), label (batch_size,). H and W are
    crop_size, else new_height and new_width, else those of the first image.

    Raises:
        LayerError: batch_size 0, only one of new_height and new_width, mean_file with mean_value.

    Caffe: src/caffe/layers/image_data_layer.cpp
    """

    tops: Arity = (2, 2)
    param = "image_data_param"

    @classmethod
    def check(cls, layer: Any) -> None:
        super().check(layer)
        both(getattr(layer, cls.param), "new_height", "new_width")

    @classmethod
    def channels(cls, layer: Any) -> Size:
        return 3 if getattr(layer, cls.param).is_color else 1

    @classmethod
    def source_size(cls, layer: Any, record: Sequence[Size]) -> Sequence[Size]:
        param = getattr(layer, cls.param)
        return (param.new_height, param.new_width) if param.new_height else record


def both(message: Any, one: str, other: str) -> None:
    """Refuses one of two fields without the other."""
    values = getattr(message, one), getattr(message, other)
    if bool(values[0]) != bool(values[1]):
        raise LayerError(f"{one} and {other} must be set together", received=f"{one} {values[0]}, {other} {values[1]}")
