"""What a precision costs and gains: accuracy, differences from the model, and time, on labelled data."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from keras_caffe.converters.model import CaffeModel
from keras_caffe.engines.choose import engine
from keras_caffe.engines.engine import Engine
from keras_caffe.errors import CaffeError, DataError

CALIBRATION = 200
"""Images at least"""
Batch = tuple[Mapping[str, np.ndarray], np.ndarray]
"""Inputs as the model takes them, {name: array}, and the labels; rows behind the last label only fill the batch up."""


@dataclass
class Price:
    """One precision.

    Args:
        precision: "float32", "bfloat16" or "int8".
        engine: what computed it; None where none does.
        refused: why none does.
        images: how many were seen.
        right: how many of them had the greatest value at their label.
        largest: greatest difference from the model in float32, in the blob's unit.
        total: sum of all differences; values: how many they are.
        top: greatest value that the model in float32 gave.
        seconds: for all images.
    """

    precision: str
    engine: str | None = None
    refused: str | None = None
    images: int = 0
    right: int = 0
    largest: float = 0.0
    total: float = 0.0
    values: int = 0
    top: float = 0.0
    seconds: float = 0.0

    def add(self, found: np.ndarray, wanted: np.ndarray, labels: np.ndarray, seconds: float) -> None:
        """Takes account of a batch: what was computed, what the model computes, the labels, the time."""
        difference = np.abs(found - wanted)
        self.images += len(labels)
        self.right += int((found.argmax(1) == labels).sum())
        self.largest = max(self.largest, float(difference.max(initial=0)))
        self.top = max(self.top, float(np.abs(wanted).max(initial=0)))
        self.total, self.values = self.total + float(difference.sum()), self.values + difference.size
        self.seconds += seconds

    def summary(self) -> dict[str, Any]:
        """What is told of it: shares, errors as parts of the blob's largest value, milliseconds for an image."""
        if self.engine is None:
            return {"precision": self.precision, "engine": None, "refused": self.refused}
        largest = self.top or 1.0
        return {
            "precision": self.precision,
            "engine": self.engine,
            "accuracy": self.right / self.images,
            "largest_error": self.largest / largest,
            "mean_error": self.total / max(1, self.values) / largest,
            "milliseconds": 1e3 * self.seconds / self.images,
            "images": self.images,
        }


def evaluate(
    model: CaffeModel,
    blob: str,
    batches: Iterable[Batch],
    precisions: Sequence[str],
    name: str = "auto",
    threads: int | None = None,
    cache: bool = True,
) -> list[Price]:
    """Runs a net on labelled data in several precisions.

    Args:
        model: a loaded model.
        blob: what holds a value for each class.
        batches: the data. The first of them calibrate int8.
        precisions: which.
        name, threads, cache: as of `engine`.

    Returns:
        What each precision costs, in their order; one that no engine computes says why.

    Raises:
        DataError: there are no data, or labels are no classes of the blob.
    """
    first, rest = _begin(batches)
    prices = {precision: Price(precision) for precision in precisions}
    engines: dict[str, Engine] = {}
    for precision, price in prices.items():
        calibration = [inputs for inputs, _ in first] if precision == "int8" else None
        options: dict[str, Any] = {"threads": threads, "calibration": calibration, "cache": cache}
        try:
            engines[precision] = engine(model, name, precision=precision, outputs=[blob], **options)
            price.engine = engines[precision].name
        except CaffeError as error:
            price.refused = str(error)
    reference, seen = model.extract([blob]), set[Any]()
    for inputs, labels in rest:
        wanted = _rows(reference.predict_on_batch(dict(inputs))[blob], labels)
        shapes = tuple(array.shape for array in inputs.values())
        for precision, one in engines.items():
            if shapes not in seen:
                one(inputs)  # which compiles it for these sizes
            begin = time.perf_counter()
            found = one(inputs)[blob]
            prices[precision].add(_rows(found, labels), wanted, labels, time.perf_counter() - begin)
        seen.add(shapes)
    return list(prices.values())


def _begin(batches: Iterable[Batch]) -> tuple[list[Batch], Iterator[Batch]]:
    """The batches for calibration, and all batches."""
    first: list[Batch] = []
    left = iter(batches)
    while sum(len(labels) for _, labels in first) < CALIBRATION and (batch := next(left, None)) is not None:
        first.append(batch)
    if not first:
        raise DataError("there are no data to evaluate the net on")
    return first, chain(first, left)


def _rows(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(labels, classes)."""
    rows = np.asarray(values).reshape(len(values), -1)[: len(labels)]
    if labels.min(initial=0) < 0 or labels.max(initial=0) >= rows.shape[1]:
        worst = int(max(labels.max(), -labels.min()))
        raise DataError("a label is not a class of the blob", expected=f"0 to {rows.shape[1] - 1}", received=worst)
    return rows
