"""ONNX Runtime, as `converters.proof` runs it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_caffe.converters.proof import Arrays, own_words
from keras_caffe.errors import ExportError
from keras_caffe.layout import edge_order, inverse, to_caffe
from keras_caffe.shapes import Shape


class OnnxRuntime:
    """ONNX Runtime with a file; it takes and gives {blob: array in Caffe's order}."""

    def __init__(self, file: Path, data_format: str) -> None:
        try:
            import onnxruntime
        except ImportError:
            fix = "Install it with `pip install 'keras-caffe[onnx]'`."
            raise ExportError("ONNX Runtime is needed to check ONNX files", fix=fix) from None
        try:
            self.session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        except Exception as error:  # its classes are no part of its interface
            raise ExportError("ONNX Runtime refuses the file", received=own_words(error)) from error
        self.data_format = data_format
        self.outputs = [output.name for output in self.session.get_outputs()]
        self.inputs = {one.name: self._sizes(one.shape) for one in self.session.get_inputs()}

    def _sizes(self, shape: Sequence[int | str]) -> Shape:
        """In Caffe's order; ONNX has names for open sizes."""
        sizes = [None if isinstance(size, str) else size for size in shape]
        return to_caffe(sizes, edge_order(len(sizes), self.data_format))

    def run(self, fed: Arrays) -> dict[str, np.ndarray]:
        asked = {name: fed[name].transpose(edge_order(fed[name].ndim, self.data_format)) for name in self.inputs}
        try:
            found = self.session.run(self.outputs, asked)
        except Exception as error:
            raise ExportError("ONNX Runtime cannot run the file", received=own_words(error)) from error
        arrays = dict(zip(self.outputs, found, strict=True))
        return {name: a.transpose(inverse(edge_order(a.ndim, self.data_format))) for name, a in arrays.items()}
