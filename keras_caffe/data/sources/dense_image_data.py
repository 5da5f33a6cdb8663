"""DenseImageData: images and maps of their labels (SegNet, src/caffe/layers/dense_image_data_layer.cpp)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_caffe.converters.resize import nearest
from keras_caffe.data.augment import Augment, Placement
from keras_caffe.data.sources.base import Settings
from keras_caffe.data.sources.label_maps import LabelMaps

WHOLE = Placement(False, 0, 0)


class DenseImageData(LabelMaps):
    """Maps hold their pixels' numbers, and are resized by taking the nearest pixel.

    With crop_height and crop_width windows lie anywhere, in both phases. The mean is that of a window as it is
    delivered, after crop and mirror.
    """

    param = "dense_image_data_param"
    maps_resized: Callable[..., np.ndarray] = staticmethod(nearest)

    def __init__(self, layer: Any, settings: Settings) -> None:
        super().__init__(layer, settings)
        param = self.fields
        self.arithmetic: Augment = self.augment
        window = (param.crop_height, param.crop_width) if param.crop_height else None
        self.augment: Augment = Augment(window, param.mirror, train=True, seed=settings.seed)

    def write(self, image: np.ndarray, placement: Placement, target: np.ndarray) -> None:
        window = self.augment.window(image, placement)
        self.arithmetic.check(window.shape)
        self.arithmetic.apply(window, WHOLE, target)
