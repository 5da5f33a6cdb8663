"""What all runtimes have in common."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import ModuleType

import numpy as np

from keras_caffe.errors import ExportError
from keras_caffe.shapes import Shape

Arrays = Mapping[str, np.ndarray]


class Runtime:
    """Something that an engine has compiled; it takes and gives {name: array}, all as they are stored.

    Attributes:
        title: the engine's name in messages.
        inputs: {input: its shape}; None for open sizes.
        outputs: names of the outputs.
    """

    title: str
    inputs: Mapping[str, Shape]
    outputs: Sequence[str]

    def run(self, fed: Arrays) -> dict[str, np.ndarray]:
        """What it computes of arrays of float32. Raises ExportError if the engine fails, in its words."""
        try:
            return self.call(fed)
        except Exception as error:  # the engines' classes are many, and no part of their interfaces
            raise ExportError(f"{self.title} cannot run the export", received=own_words(error)) from error

    def call(self, fed: Arrays) -> dict[str, np.ndarray]:
        """`run`, with the engine's own errors."""
        raise NotImplementedError


def library(module: str, title: str, extra: str, oldest: str) -> ModuleType:
    """An engine's Python package.

    Args:
        module: its name.
        title: what it is called in messages.
        extra: the extra of keras-caffe that installs it.
        oldest: the oldest version that will do, "major.minor".

    Raises:
        ExportError: it is missing, broken, or older.
    """
    fix = f"Install it with `pip install 'keras-caffe[{extra}]'`."
    try:
        found = import_module(module)
    except ImportError as error:
        problem = f"{title} is needed and not installed"
        received = None if isinstance(error, ModuleNotFoundError) and error.name == module else own_words(error)
        raise ExportError(problem, received=received, fix=fix) from None
    version = str(getattr(found, "__version__", oldest))
    if _numbers(version) < _numbers(oldest):
        raise ExportError(f"{title} is too old", expected=f"{oldest} or newer", received=version, fix=fix)
    return found


def refused(title: str, error: Exception) -> ExportError:
    """An engine does not compile what it was given."""
    return ExportError(f"{title} refuses the net", received=own_words(error))


def threads_of(threads: int | None) -> int:
    """The number of threads asked for; by default one for each processor that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # only Linux has it
    return threads or (len(affinity(0)) if affinity else os.cpu_count() or 1)


def own_words(error: Exception) -> str:
    """The first line of what an engine says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:2]]
