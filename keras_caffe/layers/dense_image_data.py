"""DenseImageData: images and maps of their labels (SegNet, src/caffe/layers/dense_image_data_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.errors import LayerError
from keras_caffe.layers.image_data import both
from keras_caffe.layers.label_maps import LabelMaps
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Size


@register_layer("DenseImageData")
class DenseImageData(LabelMaps):
    """Inputs in the shape of the images and maps that SegNet would read; `keras_caffe.dataset` reads them.

    Shapes: no bottoms; data (batch_size, 3 or 1 with is_color: false, H, W), label (batch_size, 1, H, W). H and W are
    crop_height and crop_width, else new_height and new_width, else those of the first image.

    Raises:
        LayerError: no batch_size, new_height without new_width, crop_height without crop_width, mean_file with
            mean_value, crop_size or mirror in transform_param, which the fork refuses.

    Caffe: src/caffe/layers/dense_image_data_layer.cpp (alexgkendall/caffe-segnet; TimoSaemann/caffe-segnet-cudnn5)
    """

    param = "dense_image_data_param"

    @classmethod
    def check(cls, layer: Any) -> None:
        super().check(layer)
        both(layer.dense_image_data_param, "crop_height", "crop_width")
        for field in ("crop_size", "mirror"):
            if getattr(layer.transform_param, field):
                raise LayerError(
                    f"DenseImageData takes no {field} in transform_param",
                    fix="Set crop_height and crop_width, or mirror, in dense_image_data_param.",
                )

    @classmethod
    def window_size(cls, layer: Any, size: Sequence[Size]) -> Sequence[Size]:
        param = layer.dense_image_data_param
        return (param.crop_height, param.crop_width) if param.crop_height else size
