"""TensorFlow and TensorFlow Lite, as `converters.proof` runs them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_caffe.converters.model import CaffeModel, keras_name
from keras_caffe.converters.proof import Arrays, own_words
from keras_caffe.errors import ExportError
from keras_caffe.layout import edge_order, inverse, to_caffe
from keras_caffe.serving.servable import DEFAULT, argument
from keras_caffe.shapes import Shape


class _Signature:
    """The default signature of an export; it takes and gives {blob: array in Caffe's order}."""

    engine: str
    outputs: list[str]

    def __init__(self, model: CaffeModel, data_format: str, sizes: Mapping[str, Shape]) -> None:
        self.data_format = data_format
        blobs = [model.net.values[value].blob for value in model.plan.inputs]
        self.arguments = {blob: argument(keras_name(blob)) for blob in blobs if argument(keras_name(blob)) in sizes}
        found = {blob: sizes[name] for blob, name in self.arguments.items()}
        self.inputs = {blob: to_caffe(s, edge_order(len(s), data_format)) for blob, s in found.items()}

    def run(self, fed: Arrays) -> dict[str, np.ndarray]:
        asked = {name: _turned(fed[blob], self.data_format) for blob, name in self.arguments.items()}
        try:
            found = self.call(asked)
        except Exception as error:  # TensorFlow's classes are many, and no part of its interface
            raise ExportError(f"{self.engine} cannot run the export", received=own_words(error)) from error
        arrays = {name: np.asarray(value) for name, value in found.items()}
        return {name: a.transpose(inverse(edge_order(a.ndim, self.data_format))) for name, a in arrays.items()}

    def call(self, asked: Arrays) -> Mapping[str, Any]:
        raise NotImplementedError


class TensorFlow(_Signature):
    """A SavedModel in TensorFlow."""

    engine = f"TensorFlow {tf.__version__}"

    def __init__(self, path: Path, model: CaffeModel, data_format: str) -> None:
        self.loaded = tf.saved_model.load(str(path))
        self.serve = self.loaded.signatures[DEFAULT]
        specs = self.serve.structured_input_signature[1]
        super().__init__(model, data_format, {name: tuple(spec.shape) for name, spec in specs.items()})
        self.outputs = list(self.serve.structured_outputs)

    def call(self, asked: Arrays) -> Mapping[str, Any]:
        return self.serve(**{name: tf.constant(array) for name, array in asked.items()})


class TensorFlowLite(_Signature):
    """A TensorFlow Lite file in its interpreter."""

    engine = f"TensorFlow Lite {tf.__version__}"

    def __init__(self, path: Path, model: CaffeModel) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TensorFlow says where the interpreter will move to.
            self.runner = tf.lite.Interpreter(model_path=str(path)).get_signature_runner(DEFAULT)
        details = self.runner.get_input_details()
        super().__init__(model, model.data_format, {name: _sizes(detail) for name, detail in details.items()})
        self.outputs = list(self.runner.get_output_details())

    def call(self, asked: Arrays) -> Mapping[str, Any]:
        return self.runner(**asked)

    def named(self, sample: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """{blob: array in Caffe's order} of inputs in the order in which the signature takes them."""
        blobs = {name: blob for blob, name in self.arguments.items()}
        pairs = zip(self.runner.get_input_details(), sample, strict=True)
        return {blobs[name]: a.transpose(inverse(edge_order(a.ndim, self.data_format))) for name, a in pairs}


def _sizes(detail: Mapping[str, Any]) -> Shape:
    """An open size is -1 in its signature."""
    return tuple(None if size < 0 else int(size) for size in detail["shape_signature"])


def _turned(array: np.ndarray, data_format: str) -> np.ndarray:
    return np.ascontiguousarray(array.transpose(edge_order(array.ndim, data_format)))
