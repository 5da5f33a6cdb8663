"""What a database holds: its mean image, as Caffe's compute_image_mean gives it, and figures."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from keras_caffe import proto
from keras_caffe.converters.write import replacing
from keras_caffe.data.database import BACKENDS
from keras_caffe.data.datum import Buffer, parse
from keras_caffe.data.sources.data import from_datum, walk
from keras_caffe.data.sources.image_source import Record
from keras_caffe.data.sources.tfrecord import is_tfrecord
from keras_caffe.errors import CaffeError, DataError, not_found


def open_any(path: str | os.PathLike[str]) -> Any:
    """The way through a database of any kind: items() gives keys and records in their order.

    Raises:
        DataError: it is missing, or no database.
    """
    folder = Path(path)
    if not folder.exists():
        raise DataError("there is no such database", where=str(folder), cause=not_found(folder))
    if is_tfrecord(folder):
        return walk(folder, "LMDB")
    kinds = [kind for file, kind in BACKENDS.items() if (folder / file).is_file()]
    return walk(folder, kinds[0] if kinds else "LMDB")


def records(items: Iterable[tuple[bytes, Buffer]]) -> Iterator[Record]:
    """The records of a database; errors name the key."""
    for key, value in items:
        where = f"record {bytes(key).decode('utf-8', 'backslashreplace')}"
        try:
            yield from_datum(where, parse(value))
        except CaffeError as error:
            raise error.at(where=where) from None


def mean_image(records: Iterable[Record]) -> np.ndarray:
    """(C, H, W): the mean of all records, summed as compute_image_mean does it, in float32 and in their order.

    Raises:
        DataError: there are no records, or they differ in shape.
    """
    total, count = None, 0
    for record in records:
        pixels = _pixels(record)
        total = np.zeros(pixels.shape, np.float32) if total is None else total
        if pixels.shape != total.shape:
            raise DataError(
                "the records differ in size", where=record.where, expected=total.shape, received=pixels.shape
            )
        total += pixels
        count += 1
    if total is None:
        raise DataError("there are no records")
    return total / np.float32(count)


def write_mean(path: str | os.PathLike[str], mean: np.ndarray) -> None:
    """Writes a mean image as a binaryproto, with the shape (1, C, H, W) in the fields that old Caffe reads."""
    channels, height, width = mean.shape
    blob = proto.BlobProto(num=1, channels=channels, height=height, width=width, data=mean.ravel().tolist())
    with replacing(path) as new:
        Path(new).write_bytes(blob.SerializeToString())


@dataclass
class Statistics:
    """Figures of a database.

    Attributes:
        count: records.
        encoded: how many of them are compressed.
        shapes: how often each (C, H, W) occurs.
        labels: how often each label occurs.
        lowest, highest: of all values.
        means: of each channel, over all values.
    """

    count: int = 0
    encoded: int = 0
    shapes: Counter[tuple[int, ...]] = field(default_factory=Counter)
    labels: Counter[int] = field(default_factory=Counter)
    lowest: float = float("inf")
    highest: float = float("-inf")
    _sums: dict[int, tuple[float, int]] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        """Counts a record in."""
        pixels = _pixels(record)
        self.count += 1
        self.encoded += record.image is None
        self.shapes[pixels.shape] += 1
        self.labels[int(record.label)] += 1
        self.lowest, self.highest = min(self.lowest, float(pixels.min())), max(self.highest, float(pixels.max()))
        for channel, plane in enumerate(pixels):
            total, number = self._sums.get(channel, (0.0, 0))
            self._sums[channel] = total + float(plane.sum(dtype=np.float64)), number + plane.size

    @property
    def means(self) -> list[float]:
        return [total / number for total, number in self._sums.values()]


def _pixels(record: Record) -> np.ndarray:
    try:
        return record.pixels(0)
    except CaffeError as error:
        raise error.at(where=record.where) from None
