"""DummyData: blobs that fillers fill (src/caffe/layers/dummy_data_layer.cpp)."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_caffe import fillers
from keras_caffe.data.draws import draws
from keras_caffe.data.sources.base import Delivery, Settings, Source
from keras_caffe.layers.dummy_data import DummyData as DummyDataLayer
from keras_caffe.shapes import Shape, known


class DummyData(Source):
    """Constants once for all; whatever is random anew in every batch."""

    def __init__(self, layer: Any, settings: Settings) -> None:
        super().__init__(layer, settings)
        self._shapes = [tuple(shape or ()) for shape in DummyDataLayer.declared_shapes(layer)]
        self.specs: list[dict[str, Any]] = DummyDataLayer.fillers(layer)
        for spec, shape in zip(self.specs, self._shapes, strict=True):
            fillers.check(spec, known(shape))

    @property
    def delivery(self) -> Delivery:
        return Delivery(counted=False)

    def shapes(self) -> list[Shape]:
        return list(self._shapes)

    def read(self, numbers: np.ndarray) -> list[np.ndarray]:
        seeds = draws(self.settings.seed, numbers[:1], len(self.specs))[0].tolist()
        filled = [
            fillers.get({**spec, "seed": seed})(shape)
            for spec, seed, shape in zip(self.specs, seeds, self._shapes, strict=True)
        ]
        return [self.stored(array) for array in filled]
