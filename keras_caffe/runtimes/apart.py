"""An engine in a process of its own, which may crash without ending ours."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from keras_caffe.errors import ExportError
from keras_caffe.runtimes.base import Arrays, Runtime, own_words
from keras_caffe.runtimes.litert import LiteRt
from keras_caffe.runtimes.onnxruntime import OnnxRuntime
from keras_caffe.runtimes.openvino import OpenVino
from keras_caffe.shapes import Shape

ENGINES: dict[str, Any] = {"OnnxRuntime": OnnxRuntime, "LiteRt": LiteRt, "OpenVino": OpenVino}
CHILD = (  # Called as the command line is, it imports no Keras. Our path, as `-c` begins with the working directory
    "import os, sys; sys.argv = ['keras-caffe']; sys.path[:] = os.environ['KERAS_CAFFE_PATH'].split(os.pathsep); "
    "from keras_caffe.runtimes.apart import serve; serve()"
)


class Apart(Runtime):
    """A file in one of these engines; a context, at whose end the process ends.

    Args:
        engine: OnnxRuntime, LiteRt or OpenVino.
        file: its path.

    Raises:
        ExportError: the engine is missing or too old, refuses the file, or crashes.
    """

    inputs: Mapping[str, Shape]
    outputs: Sequence[str]

    def __init__(self, engine: Any, file: Path) -> None:
        package = sys.modules[engine.library().__name__.partition(".")[0]]
        version = getattr(package, "__version__", "")
        self.title: str = engine.title
        self._name = f"{engine.title} {version}".strip()
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        paths = {**os.environ, "KERAS_CAFFE_PATH": os.pathsep.join(map(os.path.abspath, sys.path))}
        self._process: Any = subprocess.Popen([sys.executable, "-c", CHILD], env=paths, **pipes)
        try:
            self.inputs, self.outputs = self._answer((engine.__name__, str(file.resolve())))
        except BaseException:
            self.__exit__()
            raise

    def run(self, fed: Arrays) -> dict[str, np.ndarray]:
        return dict(self._answer(dict(fed)))

    def _answer(self, question: Any) -> Any:
        try:
            pickle.dump(question, self._process.stdin)
            self._process.stdin.flush()
            problem, found = pickle.load(self._process.stdout)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError):
            raise ExportError(f"{self._name} crashed while the export was checked", received=self._end()) from None
        if problem is not None:
            raise ExportError(problem, received=found)
        return found

    def _end(self) -> str:
        code = self._process.wait()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def __enter__(self) -> Apart:
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(BrokenPipeError), self._process as process:  # it sends what a dead process has not read
            process.kill()


def serve() -> None:
    """The other process: an engine and a file are asked for first, then runs."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # Engines print.
    name, file = pickle.load(sys.stdin.buffer)
    runtime = _answered(answers, lambda: ENGINES[name](Path(file)), lambda made: (made.inputs, made.outputs))
    while runtime:
        fed = pickle.load(sys.stdin.buffer)
        _answered(answers, lambda fed=fed: runtime.run(fed), lambda found: found)


def _answered(answers: BinaryIO, compute: Any, told: Any) -> Any:
    """Sends (None, what was computed), or an error's problem and what it received."""
    result = None
    answer: tuple[str | None, Any]
    try:
        result = compute()
        answer = None, told(result)
    except ExportError as error:
        answer = error.problem, error.received
    except Exception as error:  # whatever an engine raises
        answer = "the engine fails", own_words(error)
    pickle.dump(answer, answers)
    answers.flush()
    return result
