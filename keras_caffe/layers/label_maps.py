"""What data layers of images and maps of labels have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.layers.image_data import ImageData
from keras_caffe.shapes import Shape


class LabelMaps(ImageData):
    """Base of data layers whose second top is a map of labels (N, 1, H, W), in the size of the images."""

    @classmethod
    def top_sizes(cls, layer: Any) -> Sequence[Shape]:
        image = cls.image_sizes(layer, cls.batch_size(layer))
        return [image, (image[0], 1, *image[2:])]
