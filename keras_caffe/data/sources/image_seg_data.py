"""ImageSegData: images and maps of their labels (DeepLab, src/caffe/layers/image_seg_data_layer.cpp)."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from keras_caffe.converters.resize import nearest, resize
from keras_caffe.data.augment import Augment
from keras_caffe.data.draws import draws
from keras_caffe.data.sources.base import Settings
from keras_caffe.data.sources.image_data import Line
from keras_caffe.data.sources.label_maps import LabelMaps, read_pairs
from keras_caffe.errors import CaffeWarning
from keras_caffe.layers.base import enum_name


class ImageSegData(LabelMaps):
    """Maps by label_type: PIXEL is a file's, IMAGE one number for the whole image, NONE ignore_label everywhere.

    Images are scaled by one of scale_factors, drawn in both phases, and padded at their ends to the size of the crop:
    the result is 0 there, the map ignore_label. new_height and new_width resize maps bilinearly, as images.
    """

    tops_fewest = 1
    tops_most = 3

    def __init__(self, layer: Any, settings: Settings) -> None:
        param, transform = layer.image_data_param, layer.transform_param
        self.label_type: str = enum_name(param, "label_type") if param.has_label else "NONE"
        self.ignored: Any = min(max(param.ignore_label, 0), 255)
        self.factors: np.ndarray = np.array(transform.scale_factors, np.float32)
        super().__init__(layer, settings)
        if transform.crop_height:
            self.augment: Augment = replace(self.augment, crop=(transform.crop_height, transform.crop_width))

    def listed(self, path: Path) -> list[Line]:
        lines = read_pairs(path, 1 if self.label_type == "NONE" else 2)
        others = [line for line in lines if self.label_type == "IMAGE" and not _number(line.label)]
        if others:
            text = f"label_type is IMAGE, so {others[0].label!r} makes the label of each pixel 0; PIXEL reads a map"
            warnings.warn(f"{others[0].where}: {text}", CaffeWarning, stacklevel=2)
        return lines

    def entries(self, numbers: Sequence[int] | np.ndarray) -> list[Line]:
        lines = super().entries(numbers)
        if not len(self.factors):
            return lines
        drawn = draws(self.settings.seed, np.asarray(numbers), 4)[:, 3] % len(self.factors)
        return [line._replace(scale=self.factors[which]) for line, which in zip(lines, drawn, strict=True)]

    def labels(self, entry: Line, image: np.ndarray) -> np.ndarray:
        if self.label_type == "PIXEL":
            return super().labels(entry, image)
        label = int(_number(entry.label) or 0) if self.label_type == "IMAGE" else self.ignored
        return np.full((*image.shape[:2], 1), min(max(label, 0), 255), np.uint8)

    def prepared(self, entry: Line, image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if entry.scale != 1:
            height, width = (max(int(np.float32(size) * entry.scale), 1) for size in image.shape[:2])
            image, labels = resize(image, height, width), nearest(labels, height, width)
        window = self.augment.crop or image.shape[:2]
        ends = [(0, max(wanted - size, 0)) for wanted, size in zip(window, image.shape, strict=False)]
        if not np.any(ends):
            return image, labels
        mean = 0 if self.augment.mean is None else self.augment.mean.reshape(-1)
        padded = np.pad(image.astype(np.float32) - mean, [*ends, (0, 0)]) + mean
        return padded, np.pad(labels, [*ends, (0, 0)], constant_values=self.ignored)


def _number(word: str) -> str:
    """The whole number that a word begins with, as C's atoi reads it; "" for none."""
    found = re.match(r"[+-]?\d+", word)
    return found[0] if found else ""
