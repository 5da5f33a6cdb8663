"""What `keras_caffe.engine` gives: a model in an engine, called like `predict_on_batch`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from keras_caffe.engines.report import Report
from keras_caffe.errors import NetError, ShapeError
from keras_caffe.runtimes import Runtime
from keras_caffe.shapes import Shape, fits


class Engine:
    """A model in an engine. Call it as `model.predict_on_batch`: with one array, a dict {input: array} or a list.

    It gives what the model gives: an array for one output, a dict {blob: array} for several or for named ones. Batches
    may have any size that the model takes. Calls must come one after the other.

    Attributes:
        name: of the engine: "openvino", "onnxruntime", "litert" or "tensorflow".
        precision: "float32", "bfloat16" or "int8".
        report: what was measured, see `Report`.
        inputs: {input: its shape}, None for sizes that are open.
    """

    def __init__(
        self,
        runtime: Runtime,
        names: Mapping[str, str],
        single: str | None,
        report: Report,
        check: Callable[[Mapping[str, Shape]], None],
        without_rows: Callable[[Mapping[str, np.ndarray]], dict[str, Any]],
    ) -> None:
        self.name: str = report.engine
        self.precision: str = report.precision
        self.report: Report = report
        self._runtime, self._names, self._single, self._check = runtime, names, single, check
        self._without_rows = without_rows
        self.inputs: dict[str, Shape] = dict(runtime.inputs)

    def __call__(self, inputs: Any = None) -> Any:
        """Computes the outputs of a batch; of one without rows, the model does.

        Raises:
            NetError: an input is missing. ShapeError: one has another shape than the model takes; a file has no rows.
            ExportError: the engine fails.
        """
        fed = self._fed(inputs)
        empty = any(0 in array.shape for array in fed.values())
        found = self._without_rows(fed) if empty else self._runtime.run(fed)
        return found if self._single is None else found[self._single]

    def __repr__(self) -> str:
        return f"<Engine {self.name}, {self.precision}>"

    def _fed(self, inputs: Any) -> dict[str, np.ndarray]:
        """{input of the runtime: array}."""
        named, wanted = self._named(inputs), self._runtime.inputs
        missing = [name for name in wanted if name not in named]
        if missing:
            expected, received = ", ".join(wanted), ", ".join(named) or "nothing"
            raise NetError(f"no value for input {', '.join(map(repr, missing))}", expected=expected, received=received)
        fed = {name: _fitting(name, named[name], shape) for name, shape in wanted.items()}
        self._check({name: array.shape for name, array in fed.items()})
        return fed

    def _named(self, inputs: Any) -> dict[str, Any]:
        """{name in the runtime: what callers give}."""
        if inputs is None or isinstance(inputs, Mapping):
            return {self._names[name]: x for name, x in (inputs or {}).items() if name in self._names}
        order = list(dict.fromkeys(self._names.values()))
        if not isinstance(inputs, (list, tuple)):
            return {name: inputs for name in order[:1]}
        if len(inputs) != len(order):
            problem = "a list has a value for each input"
            raise NetError(problem, expected=", ".join(order), received=f"{len(inputs)} values")
        return dict(zip(order, inputs, strict=True))


def _fitting(name: str, given: Any, shape: tuple[int | None, ...]) -> np.ndarray:
    array = np.asarray(given, "float32")
    if not fits(shape, array.shape):
        raise ShapeError(
            f"input {name!r} has another shape than the engine was made for", expected=shape, received=array.shape
        )
    return array
