"""ONNX Runtime, on a GPU where the package `onnxruntime-gpu` is, else on the CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_caffe.runtimes.base import Arrays, Runtime, library, refused, threads_of
from keras_caffe.shapes import Shape

CPU = "CPUExecutionProvider"
GPU = ("CUDAExecutionProvider", {"use_tf32": "0"})  # TF32 keeps ten bits of float32's fraction


class OnnxRuntime(Runtime):
    """An ONNX file.

    Args:
        file: its path, or its content.
        threads: how many compute; None: one for each processor.

    Raises:
        ExportError: ONNX Runtime is missing, too old, or refuses the file.
    """

    title = "ONNX Runtime"

    def __init__(self, file: Path | bytes, threads: int | None = None) -> None:
        onnxruntime = self.library()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads_of(threads), 1
        options.log_severity_level = 3  # errors; it warns of what it optimises away
        content = file if isinstance(file, bytes) else str(file)
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=providers(onnxruntime))
        except Exception as error:  # its classes are no part of its interface
            raise refused(self.title, error) from error
        self.outputs: Sequence[str] = [output.name for output in self._session.get_outputs()]
        self.inputs: Mapping[str, Shape] = {  # It has names for open sizes.
            one.name: tuple(size if isinstance(size, int) else None for size in one.shape)
            for one in self._session.get_inputs()
        }

    @staticmethod
    def library() -> Any:
        """The package. Raises ExportError if it is missing or too old."""
        return library("onnxruntime", OnnxRuntime.title, "onnx", "1.17")

    def call(self, fed: Arrays) -> dict[str, np.ndarray]:
        found = self._session.run(self.outputs, {name: np.ascontiguousarray(fed[name]) for name in self.inputs})
        return dict(zip(self.outputs, found, strict=True))


def providers(onnxruntime: Any) -> list[Any]:
    """What computes, the first that can: CUDA where the package has it, and the CPU.

    Args:
        onnxruntime: the package.
    """
    has_cuda = GPU[0] in onnxruntime.get_available_providers()
    return [GPU, CPU] if has_cuda else [CPU]
