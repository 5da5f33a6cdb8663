"""How a model is to be run: engine, precision, threads; and what each precision may cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from keras_caffe.converters.choices import PRECISIONS
from keras_caffe.converters.comparison import Row
from keras_caffe.errors import ExportError, instead
from keras_caffe.runtimes import Runtime
from keras_caffe.serving.calibration import MISSING, batches_of

NAMES = ("openvino", "onnxruntime", "litert", "tensorflow")
TOLERANCES = {"float32": 1e-4, "bfloat16": 5e-2, "int8": 0.5}
"""Greatest difference from the model, as a part of a blob's largest value, with which an engine is used"""


@dataclass(frozen=True, eq=False)
class How:
    """What an engine is asked for; see `keras_caffe.engine`.

    Raises:
        ExportError: there is no such precision or number of threads; int8 without calibration data.
    """

    precision: str = "float32"
    threads: int | None = None
    calibration: Any = None

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ExportError("no such precision", expected=" or ".join(PRECISIONS), received=repr(self.precision))
        whole = isinstance(self.threads, int) and not isinstance(self.threads, bool) and self.threads > 0
        if self.threads is not None and not whole:
            raise ExportError("no such number of threads", expected="1 or more", received=repr(self.threads))
        if self.precision == "int8" and not self.batches:
            raise ExportError("int8 needs calibration data", fix=MISSING)

    @property
    def tolerance(self) -> float:
        return TOLERANCES[self.precision]

    @cached_property
    def batches(self) -> list[Any]:
        """The calibration data: each an array, or a dict {input: array}."""
        return [] if self.calibration is None else list(batches_of(self.calibration))


class Made(NamedTuple):
    """A net in an engine: what runs it, how far its outputs are from the model's, the layers that stay in Keras."""

    runtime: Runtime
    rows: Sequence[Row]
    kept: Sequence[str] = ()


def check_name(name: str, known: Iterable[str]) -> None:
    """Raises ExportError unless an engine goes by this name."""
    if name not in known:
        raise ExportError(f"no engine {name!r}", **instead([name], known))
