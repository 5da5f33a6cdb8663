"""An exported file in each engine that reads it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import NoReturn

import numpy as np

from keras_caffe.converters.comparison import row_of
from keras_caffe.converters.digest import sha256
from keras_caffe.converters.proof import checked
from keras_caffe.engines.how import How, Made
from keras_caffe.engines.quantize import quantized
from keras_caffe.errors import ExportError, ReadError, ShapeError, instead, not_found, unreadable
from keras_caffe.runtimes import Arrays, Runtime
from keras_caffe.runtimes.litert import LiteRt
from keras_caffe.runtimes.onnxruntime import OnnxRuntime
from keras_caffe.runtimes.openvino import OpenVino
from keras_caffe.runtimes.tensorflow import TensorFlow
from keras_caffe.shapes import Shape, Sizes

ENGINES: dict[str, tuple[str, ...]] = {
    ".onnx": ("onnxruntime", "openvino"),
    ".tflite": ("litert",),
    ".xml": ("openvino",),
    "SavedModel": ("tensorflow", "openvino"),
}
"""The engines that read a kind of file; the first one's float32 is what the others are compared with."""
SIZES = (224, 32, 64, 128, 256, 300, 512)
"""What is tried for sizes that a file leaves open"""


class ExportedFile:
    """An ONNX or TensorFlow Lite file, an IR of OpenVINO, a SavedModel, or the newest in a folder of versions.

    Args:
        path: where it is.
        outputs: names of outputs; None: all of them.

    Raises:
        ReadError: there is none.
    """

    def __init__(self, path: Path, outputs: Sequence[str] | None) -> None:
        self.path: Path = _newest(path)
        self._outputs = outputs
        self.kind: str = "SavedModel" if self.path.is_dir() else self.path.suffix
        self.engines: tuple[str, ...] = ENGINES[self.kind]

    @property
    def single(self) -> str | None:
        """The name of the only output; None if there are several, or some were asked for."""
        names = self._reference[0].outputs if self._outputs is None and self._reference else ()
        return names[0] if len(names) == 1 else None

    def digest(self) -> str:
        """What tells this file, and what is asked of it, from others."""
        parts = sorted(path for path in self.path.rglob("*") if path.is_file()) if self.path.is_dir() else [self.path]
        weights = self.path.with_suffix(".bin")
        parts += [weights] if self.kind == ".xml" and weights.is_file() else []
        return hashlib.sha256(repr([(sha256(part), self._outputs) for part in parts]).encode()).hexdigest()

    def made(self, name: str, how: How) -> Made:
        """The file in an engine. Raises ExportError: the engine is missing, fails, or differs from the first one."""
        whole = self._opened(name, how)
        if self._outputs is not None:
            unknown = set(self._outputs) - set(whole.outputs)
            if unknown:
                problem = f"the file has no output {', '.join(map(repr, sorted(unknown)))}"
                raise ExportError(problem, **instead(unknown, whole.outputs))
        runtime = whole if self._outputs is None else Chosen(whole, self._outputs)
        if self._reference is None:
            return Made(runtime, ())
        first, fed = self._reference
        if set(whole.inputs) != set(first.inputs) or not set(runtime.outputs) <= set(first.outputs):
            raise ExportError(
                f"{whole.title} names inputs or outputs otherwise than {first.title}",
                expected=", ".join([*first.inputs, *first.outputs]),
                received=", ".join([*whole.inputs, *runtime.outputs]),
            )
        wanted, found = first.run(fed), runtime.run(fed)
        rows = tuple(row_of((name, "", ""), found[name], wanted[name], how.tolerance) for name in runtime.outputs)
        return Made(runtime, checked(rows, how.tolerance))

    def names(self, runtime: Runtime) -> dict[str, str]:
        """{what callers may call an input: its name in the runtime}."""
        return {name: name for name in runtime.inputs}

    def check(self, runtime: Runtime, shapes: Mapping[str, Shape]) -> None:
        """Nothing: a file says no more about sizes than the shapes of its inputs."""

    def without_rows(self, runtime: Runtime, fed: Mapping[str, np.ndarray]) -> NoReturn:
        """Raises ShapeError: engines refuse a batch without rows or give other shapes, and no model is there to ask."""
        received = ", ".join(f"{name!r} {array.shape}" for name, array in fed.items())
        raise ShapeError("a file in an engine takes batches of one row or more", received=received)

    def probe(self, runtime: Runtime) -> dict[str, np.ndarray]:
        """Random inputs, 0 where they have less than three axes. Raises ExportError if no size suits the open ones."""
        for size in SIZES:
            shapes = {name: _filled(shape, size) for name, shape in runtime.inputs.items()}
            rng = np.random.default_rng(0)
            fed = {
                name: rng.standard_normal(shape, "float32") if len(shape) > 2 else np.zeros(shape, "float32")
                for name, shape in shapes.items()
            }
            with suppress(ExportError):
                runtime.run(fed)
                return fed
        raise ExportError("no size suits the open ones of the inputs", received=dict(runtime.inputs))

    @cached_property
    def _reference(self) -> tuple[Runtime, dict[str, np.ndarray]] | None:
        """The file in the engine that its format is made for, and a probe; None where that engine is missing."""
        with suppress(ExportError):
            runtime = self._opened(self.engines[0], How())
            return runtime, self.probe(runtime)
        return None

    def _opened(self, name: str, how: How) -> Runtime:
        if how.precision == "bfloat16" and name != "openvino":
            raise ExportError(f"{name} computes a file in the precision that it is written in", expected="openvino")
        content: Path | bytes = self.path
        if how.precision == "int8":
            if self.kind != ".onnx":
                raise ExportError("only ONNX files can be quantised; load the net itself", received=str(self.path))
            content = quantized(self.path.read_bytes(), how.batches)
        if name == "openvino":
            return OpenVino(content, how.precision, how.threads)
        if name == "tensorflow":
            return TensorFlow(content)
        return (OnnxRuntime if name == "onnxruntime" else LiteRt)(content, how.threads)


class Chosen(Runtime):
    """Some of a runtime's outputs."""

    def __init__(self, whole: Runtime, outputs: Sequence[str]) -> None:
        self._whole = whole
        self.outputs: Sequence[str] = list(outputs)
        self.title: str = whole.title
        self.inputs: Mapping[str, Shape] = whole.inputs

    def call(self, fed: Arrays) -> dict[str, np.ndarray]:
        found = self._whole.call(fed)
        return {name: found[name] for name in self.outputs}


def is_export(path: Path) -> bool:
    """Whether a path is one of the files or folders that engines read."""
    return path.suffix in ENGINES or path.is_dir()


def _newest(path: Path) -> Path:
    """The SavedModel with the greatest number in a folder of versions; any other path itself."""
    if not path.exists():
        raise unreadable(path, not_found(path))
    if path.is_dir() and not (path / "saved_model.pb").is_file():
        versions = [
            folder for folder in path.iterdir() if folder.name.isdecimal() and (folder / "saved_model.pb").is_file()
        ]
        if not versions:
            raise ReadError("there is no SavedModel in this folder", where=str(path))
        return max(versions, key=lambda folder: int(folder.name))
    return path


def _filled(shape: Shape, size: int) -> Sizes:
    return tuple((size if axis else 1) if n is None else n for axis, n in enumerate(shape))
