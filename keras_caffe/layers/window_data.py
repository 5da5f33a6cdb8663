"""WindowData: windows of images, for R-CNN (src/caffe/layers/window_data_layer.cpp)."""

from __future__ import annotations

from typing import Any

from keras_caffe.layers.base import Arity
from keras_caffe.layers.records import RecordLayer, positive
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Size


@register_layer("WindowData")
class WindowData(RecordLayer):
    """Inputs in the shape of the windows that Caffe would cut; `keras_caffe.dataset` cuts them.

    Shapes: no bottoms; data (batch_size, 3, crop_size, crop_size), label (batch_size,). The crop_size of
    transform_param counts, that of window_data_param does not.

    Raises:
        LayerError: no batch_size or crop_size, mean_file with mean_value.

    Caffe: src/caffe/layers/window_data_layer.cpp
    """

    tops: Arity = (2, 2)
    param = "window_data_param"

    @classmethod
    def check(cls, layer: Any) -> None:
        super().check(layer)
        positive(layer.transform_param, "crop_size", "transform_param")

    @classmethod
    def channels(cls, layer: Any) -> Size:
        return 3
