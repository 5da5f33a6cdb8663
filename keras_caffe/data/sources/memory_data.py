"""MemoryData: arrays that the caller gives (src/caffe/layers/memory_data_layer.cpp)."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_caffe.data.sources.base import Settings, Source
from keras_caffe.errors import DataError, Option
from keras_caffe.layers.records import check_transform, positive
from keras_caffe.shapes import Shape

SIZES = ("batch_size", "channels", "height", "width")


class MemoryData(Source):
    """The arrays given for its two tops, in Caffe's order (N, C, H, W) and (N,); they are not transformed.

    Labels have the shape (N, 1, 1, 1), as in Caffe once data were given.
    """

    batch_size: int

    def __init__(self, layer: Any, settings: Settings) -> None:
        super().__init__(layer, settings)
        self.check_tops(2, 2)
        check_transform(layer.transform_param)
        self.batch_size, *image = (positive(layer.memory_data_param, name, "memory_data_param") for name in SIZES)
        missing = [top for top in self.tops if top not in settings.arrays]
        if missing:
            fix = Option("arrays", {top: ... for top in self.tops})
            raise DataError(f"no arrays are given for {', '.join(missing)}", fix=fix)
        data, label = (np.asarray(settings.arrays[top], np.float32) for top in self.tops)
        if data.ndim != 4 or list(data.shape[1:]) != image or not len(data):
            raise DataError(
                f"the array for {self.tops[0]!r} has another shape", expected=("N", *image), received=data.shape
            )
        if label.size != len(data):
            raise DataError(
                "the number of labels does not match the number of images", expected=len(data), received=label.size
            )
        if len(data) % self.batch_size:
            wanted = f"a multiple of batch_size {self.batch_size}"
            raise DataError("the number of images does not fit the batch", expected=wanted, received=len(data))
        self.arrays: list[np.ndarray] = [data, label.reshape(-1, 1, 1, 1)]

    @property
    def size(self) -> int:
        return len(self.arrays[0])

    def shapes(self) -> list[Shape]:
        return [(None, *array.shape[1:]) for array in self.arrays]

    def read(self, numbers: np.ndarray) -> list[np.ndarray]:
        return [self.stored(array[numbers % self.size]) for array in self.arrays]
