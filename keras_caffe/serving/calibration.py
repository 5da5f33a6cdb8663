"""Calibration data: typical inputs, by which a net's values get their ranges in 8 bits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from keras_caffe.errors import ExportError, Option
from keras_caffe.shapes import Shape, fits

MISSING = Option("calibration", ..., "with some hundred typical inputs")


def batches_of(calibration: Any) -> Iterable[Any]:
    """The batches: an array or a dict {input: array} is one, anything else is an iterable of them.

    Raises:
        ExportError: it is neither.
    """
    if isinstance(calibration, (np.ndarray, Mapping)):
        return [calibration]
    if not isinstance(calibration, Iterable) or isinstance(calibration, str):
        raise ExportError(
            "these are not calibration data", expected="arrays, or dicts {input: array}", received=repr(calibration)
        )
    return calibration


def samples(
    batch: Any, names: Mapping[str, str], inputs: Mapping[str, Shape], single: bool = False
) -> Iterator[dict[str, np.ndarray]]:
    """What an engine is fed of a batch, {its name of an input: array}: whole, or cut to the net's own batch size.

    Args:
        batch: an array for a net of one input, or a dict {input: array}.
        names: {what callers may call an input: the engine's name of it}.
        inputs: {the engine's name: shape as it takes it}; the batch is None where it may have any size.
        single: cut open batches into single rows.

    Raises:
        ExportError: an input is missing, has another shape, is no array of numbers, or has too few rows.
    """
    arrays = {name: _array(name, given, inputs[name]) for name, given in _named(batch, names, inputs).items()}
    batches = {name: array for name, array in arrays.items() if array.ndim}  # a number has no rows
    rows = {name: inputs[name][0] or (1 if single else max(1, len(array))) for name, array in batches.items()}
    count = min((len(array) // rows[name] for name, array in batches.items()), default=1)
    if not count:
        received = ", ".join(f"{name!r}: {len(array)}" for name, array in batches.items())
        raise ExportError(
            "calibration data have too few rows", expected=f"a batch of the net's, {rows}", received=received
        )
    for start in range(count):
        cut = {name: array[start * rows[name] : (start + 1) * rows[name]] for name, array in batches.items()}
        yield {name: cut.get(name, array) for name, array in arrays.items()}


def _named(batch: Any, names: Mapping[str, str], inputs: Mapping[str, Shape]) -> dict[str, Any]:
    if not isinstance(batch, Mapping):
        if len(inputs) > 1:
            raise ExportError("calibration data for several inputs are dicts", expected=", ".join(inputs))
        return dict.fromkeys(inputs, batch)
    given = {names[name]: array for name, array in batch.items() if name in names}
    missing = [name for name in inputs if name not in given]
    if missing:
        raise ExportError(
            "the calibration data lack an input", expected=", ".join(missing), received=", ".join(map(str, batch))
        )
    return {name: given[name] for name in inputs}


def _array(name: str, given: Any, shape: Shape) -> np.ndarray:
    try:
        array = np.asarray(given, "float32", order="C")
    except (TypeError, ValueError):
        raise ExportError("calibration data are not arrays of numbers", where=f"input {name!r}") from None
    if not fits(shape[1:], array.shape[1:]) or array.ndim != len(shape):
        raise ExportError(
            "calibration data have another shape", where=f"input {name!r}", expected=shape, received=array.shape
        )
    return array
