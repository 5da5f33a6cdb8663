"""Data: Datums of an LMDB or LevelDB (src/caffe/layers/data_layer.cpp)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_caffe.data.buffers import Buffers
from keras_caffe.data.database import Database, Entry, Walk, check_backend, empty
from keras_caffe.data.datum import Datum, parse
from keras_caffe.data.sources.base import Settings
from keras_caffe.data.sources.image_source import ImageSource, Record
from keras_caffe.data.sources.leveldb import LevelDbWalk
from keras_caffe.data.sources.tensorflow_io import TensorFlowIoWalk
from keras_caffe.data.sources.tfrecord import TfRecordWalk, is_tfrecord
from keras_caffe.errors import DataError
from keras_caffe.lmdb_file import LmdbFile

RECORDS = 128  # whose memory is kept: those of the two batches that are made at once, in most nets


def lmdb(path: Path) -> LmdbFile:
    """An LMDB whose records lie in memory that is used again: new pages cost as much as reading into them."""
    return LmdbFile(path, Buffers(RECORDS).bytes)


READERS: dict[str, Callable[[Path], Walk]] = {"auto": lmdb, "lmdb": lmdb, "tensorflow-io": TensorFlowIoWalk}


class Data(ImageSource):
    """Records in the order of their keys; after the last comes the first, in mid-batch too. rand_skip is ignored."""

    def __init__(self, layer: Any, settings: Settings) -> None:
        super().__init__(layer, settings)
        self.database = open_database(layer.data_param, settings)
        if self.database.size == 0:
            raise empty(self.database.name)

    @property
    def size(self) -> int | None:
        return self.database.count()

    def entries(self, numbers: Sequence[int] | np.ndarray) -> list[Entry]:
        return self.database.read(numbers)

    def record(self, entry: Entry) -> Record:
        return from_datum(entry.where, parse(entry.record))


def from_datum(where: str, datum: Datum, label: Any = None) -> Record:
    """The record of a Datum."""
    label = datum.label if label is None else label
    return Record(where, label, None, datum.data) if datum.encoded else Record(where, label, datum.pixels())


def open_database(param: Any, settings: Settings) -> Database:
    """The database that a DataParameter names.

    Raises:
        DataError: it is missing, of another kind, or cannot be opened.
    """
    path = settings.places.need(param.source, "source")
    return Database(
        walk(path, type(param).DB.Name(param.backend), param.HasField("backend"), settings.reader), str(path)
    )


def walk(path: Path, backend: str, layer_says: bool = True, reader: str = "auto") -> Walk:
    """The way through a database of a backend, "LMDB" or "LEVELDB", or through a TFRecord file."""
    if reader not in READERS:
        raise DataError("no such reader", expected=" or ".join(READERS), received=repr(reader))
    if is_tfrecord(path):
        return TfRecordWalk(path)
    check_backend(path, backend, layer_says)
    return LevelDbWalk(path) if backend == "LEVELDB" else READERS[reader](path)
