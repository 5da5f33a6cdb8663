"""ImageLabelmapData: images and maps of their edges (HED, src/caffe/layers/image_labelmap_data_layer.cpp)."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from keras_caffe.data.augment import Augment
from keras_caffe.data.sources.base import Settings
from keras_caffe.data.sources.image_data import Line
from keras_caffe.data.sources.label_maps import LabelMaps
from keras_caffe.errors import CaffeWarning

EDGE = 128  # a number / 255, rounded, is 1 from here on


class ImageLabelmapData(LabelMaps):
    """Maps hold 1 where more than half of those who drew the edges agree, else 0; windows lie anywhere in both phases.

    yun-liu/RCF keeps the share of those who agree where it is below a half. A warning names the first map with such.
    """

    augment: Augment
    warned: bool

    def __init__(self, layer: Any, settings: Settings) -> None:
        super().__init__(layer, settings)
        self.augment, self.warned = replace(self.augment, train=True), False

    def labels(self, entry: Line, image: np.ndarray) -> np.ndarray:
        drawn = super().labels(entry, image)
        if not self.warned and np.any((drawn > 0) & (drawn < EDGE)):
            self.warned = True
            text = f"{entry.where}: edges below a half of 255 become 0, as in HED; in RCF they keep their share of 255"
            warnings.warn(text, CaffeWarning, stacklevel=2)
        return (drawn >= EDGE).astype(np.uint8)
