"""Python layers without bottoms: classes written for pycaffe (include/caffe/layers/python_layer.hpp)."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_caffe.data.sources.base import Delivery, Settings, Source
from keras_caffe.errors import DataError, LayerError
from keras_caffe.layers.context import LoadContext, loading
from keras_caffe.layers.python_class import class_name, find_class
from keras_caffe.ops.python_layer import Runner
from keras_caffe.shapes import Shape


class PythonData(Source):
    """Runs setup once, then reshape and forward for each batch, as pycaffe does; the tops may change in size.

    The class keeps its own count of what it gave: it is not shared between workers, and a resumed iterator goes on
    where the object stands.
    """

    def __init__(self, layer: Any, settings: Settings) -> None:
        super().__init__(layer, settings)
        self.runner: Runner = Runner(self._class(), layer.python_param.param_str, layer.phase, [], len(self.tops), [])

    @property
    def delivery(self) -> Delivery:
        return Delivery(ordered=True, counted=False)

    def _class(self) -> type:
        name = class_name(self.layer)
        if name in self.settings.python_layers:
            return self.settings.python_layers[name]
        with loading(LoadContext(allow_python_imports=self.settings.allow_python_imports)):
            return find_class(name)

    def shapes(self) -> list[Shape]:
        """The first axis and the last two of an image may change from batch to batch."""
        return [
            tuple(None if a == 0 or a >= 2 else size for a, size in enumerate(top.shape)) for top in self.runner.top
        ]

    def read(self, numbers: np.ndarray) -> list[np.ndarray]:
        try:
            _, tops = self.runner.forward([], [])
        except LayerError:
            raise
        except Exception as error:  # whatever the class does
            name = class_name(self.layer)
            raise DataError(f"forward of {name} fails: {type(error).__name__}: {error}") from error
        return [self.stored(top) for top in tops]
