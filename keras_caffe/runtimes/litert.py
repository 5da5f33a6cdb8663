"""TensorFlow Lite, with XNNPACK's kernels: LiteRT where it is installed, or the interpreter in TensorFlow."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from keras_caffe.runtimes.base import Arrays, Runtime, library, refused, threads_of
from keras_caffe.shapes import Shape


class LiteRt(Runtime):
    """The signature "serving_default" of a TensorFlow Lite file, or its only one.

    Args:
        file: its path, or its content.
        threads: how many compute; None: one for each processor.

    Raises:
        ExportError: there is neither LiteRT nor TensorFlow, or it refuses the file.
    """

    title = "TensorFlow Lite"

    def __init__(self, file: Path | bytes, threads: int | None = None) -> None:
        content = {"model_content": file} if isinstance(file, bytes) else {"model_path": str(file)}
        interpreter = self.library().Interpreter
        try:
            self._interpreter = _made(interpreter, **content, num_threads=threads_of(threads))
            signatures = list(self._interpreter.get_signature_list())
            name = "serving_default" if "serving_default" in signatures else signatures[0]
            self._runner = self._interpreter.get_signature_runner(name)
        except (ValueError, RuntimeError, IndexError) as error:
            raise refused(self.title, error) from error
        self.inputs: Mapping[str, Shape] = {
            name: _sizes(detail) for name, detail in self._runner.get_input_details().items()
        }
        self.outputs: Sequence[str] = list(self._runner.get_output_details())

    @staticmethod
    def library() -> Any:
        """The package with the interpreter. Raises ExportError if there is none."""
        if find_spec("ai_edge_litert") is None and find_spec("tensorflow") is not None:
            return library("tensorflow", "TensorFlow", "tensorflow-cpu", "2.16").lite
        return library("ai_edge_litert.interpreter", LiteRt.title, "litert", "1.0")

    def call(self, fed: Arrays) -> dict[str, np.ndarray]:
        return dict(self._runner(**{name: np.ascontiguousarray(fed[name]) for name in self.inputs}))


def _made(interpreter: Any, **arguments: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow says where its interpreter will move to.
        return interpreter(**arguments)


def _sizes(detail: Any) -> tuple[int | None, ...]:
    """An open size is -1 in its signature."""
    return tuple(None if size < 0 else int(size) for size in detail["shape_signature"])
