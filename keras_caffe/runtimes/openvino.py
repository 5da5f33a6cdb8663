"""OpenVINO, on the CPU."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from keras_caffe.errors import ExportError
from keras_caffe.runtimes.base import Arrays, Runtime, library, refused, threads_of
from keras_caffe.shapes import Shape

HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}
"""What floats are computed in; a net of 8 bits says itself where it has them."""
CACHED = 4
Shapes = tuple[tuple[str, Shape], ...]


class OpenVino(Runtime):
    """An ONNX file, an IR, a TensorFlow Lite file or the folder of a SavedModel.

    It is compiled for fixed sizes, which is faster than for open ones, when an input of these sizes comes first; the
    last four are kept.

    Args:
        file: its path, or the content of an ONNX file.
        precision: "float32", "bfloat16", or "int8" for a net that is quantised.
        threads: how many compute; None: one for each processor.

    Raises:
        ExportError: OpenVINO is missing, too old, or refuses the file; the processor has no bfloat16.
    """

    title = "OpenVINO"

    def __init__(self, file: Path | bytes, precision: str = "float32", threads: int | None = None) -> None:
        openvino = self.library()
        self._core, self._tensor = openvino.Core(), openvino.Tensor
        capabilities = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "bfloat16" and "BF16" not in capabilities:
            raise ExportError(
                "OpenVINO has no bfloat16 on this processor",
                expected="AVX-512-BF16 or AMX",
                received=", ".join(capabilities),
            )
        self._settings = {
            "INFERENCE_NUM_THREADS": threads_of(threads),
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": HINTS[precision],
        }
        self._model = read(self._core, file)
        self.inputs: Mapping[str, Shape] = {port.get_any_name(): _sizes(port) for port in self._model.inputs}
        self.outputs: Sequence[str] = [_output_name(port) for port in self._model.outputs]
        self._compiled = lru_cache(CACHED)(self._compile)

    @staticmethod
    def library() -> Any:
        """The package. Raises ExportError if it is missing or too old."""
        return library("openvino", OpenVino.title, "openvino", "2024.4")

    def call(self, fed: Arrays) -> dict[str, np.ndarray]:
        arrays = [np.require(fed[name], requirements=("C", "W")) for name in self.inputs]
        request = self._compiled(tuple(array.shape for array in arrays))
        for index, array in enumerate(arrays):  # `infer(arrays)` does the same in 0.1 ms more
            request.set_input_tensor(index, self._tensor(array, shared_memory=True))
        return dict(zip(self.outputs, request.infer().values(), strict=True))

    def _compile(self, shapes: tuple[Shape, ...]) -> Any:
        """The net for inputs of these shapes, ready to run."""
        model = self._model.clone()
        if any(None in sizes for sizes in self.inputs.values()):
            model.reshape({name: list(shape) for name, shape in zip(self.inputs, shapes, strict=True)})
        return self._core.compile_model(model, "CPU", self._settings).create_infer_request()


def read(core: Any, file: Path | bytes) -> Any:
    """The graph of a file, or of an ONNX file's content; of equal values the first counts as greater, as in ONNX.

    Args:
        core: OpenVINO's Core.

    Raises:
        ExportError: OpenVINO refuses the file.
    """
    try:
        model = core.read_model(io.BytesIO(file) if isinstance(file, bytes) else str(file))
        for node in model.get_ops():
            if "stable" in node.get_attributes():  # TopK, which is fast and in no order unless it is told otherwise
                node.set_attribute("stable", True)
    except Exception as error:  # its classes are no part of its interface
        raise refused(OpenVino.title, error) from error
    return model


def _output_name(port: Any) -> str:
    """A constant that is an output has its own name beside the output's, which the node behind it tells."""
    own = str(port.get_node().get_friendly_name()).removesuffix("/sink_port_0")
    return own if own in port.get_names() else str(port.get_any_name())


def _sizes(port: Any) -> Shape:
    return tuple(size.get_length() if size.is_static else None for size in port.get_partial_shape())
