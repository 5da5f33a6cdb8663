"""ImageSegData: images and maps of their labels (DeepLab, src/caffe/layers/image_seg_data_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.errors import LayerError
from keras_caffe.layers.base import Arity
from keras_caffe.layers.image_data import both
from keras_caffe.layers.label_maps import LabelMaps
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, Size


@register_layer("ImageSegData")
class ImageSegData(LabelMaps):
    """Inputs in the shape of the images and maps that DeepLab would read; `keras_caffe.dataset` reads them.

    Shapes: no bottoms; data (batch_size, 3 or 1 with is_color: false, H, W), label (batch_size, 1, H, W) and the
    images' height and width (batch_size, 1, 1, 2), as many of them as there are tops. H and W are crop_size, or
    crop_height and crop_width, else new_height and new_width, else those of the first image.

    Raises:
        LayerError: as `ImageData`; mean_file, a factor of 0, crop_height without crop_width, or both with crop_size.

    Caffe: src/caffe/layers/image_seg_data_layer.cpp (TheLegendAli/DeepLab-Context; hszhao/PSPNet)
    """

    tops: Arity = (1, 3)

    @classmethod
    def check(cls, layer: Any) -> None:
        super().check(layer)
        transform = layer.transform_param
        both(transform, "crop_height", "crop_width")
        if transform.crop_height and transform.crop_size:
            raise LayerError("crop_size is given with crop_height and crop_width", fix="Use one of them.")
        if transform.HasField("mean_file"):
            raise LayerError("ImageSegData takes no mean_file", fix="Give mean_value.")
        if any(factor <= 0 for factor in transform.scale_factors):
            raise LayerError("an image is scaled to nothing", expected="scale_factors above 0")

    @classmethod
    def top_sizes(cls, layer: Any) -> Sequence[Shape]:
        return [*super().top_sizes(layer), (cls.batch_size(layer), 1, 1, 2)]

    @classmethod
    def window_size(cls, layer: Any, size: Sequence[Size]) -> Sequence[Size]:
        transform = layer.transform_param
        if transform.crop_height:
            return (transform.crop_height, transform.crop_width)
        return super().window_size(layer, size)
