"""Data: Datums of an LMDB or LevelDB (src/caffe/layers/data_layer.cpp)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_caffe.converters.resize import resize
from keras_caffe.data.buffers import Buffers
from keras_caffe.data.database import Database, Entry, Walk, check_backend, empty
from keras_caffe.data.datum import Datum, parse
from keras_caffe.data.sources.base import Settings
from keras_caffe.data.sources.image_source import ImageSource, Record
from keras_caffe.data.sources.leveldb import LevelDbWalk
from keras_caffe.data.sources.tensorflow_io import TensorFlowIoWalk
from keras_caffe.data.sources.tfrecord import TfRecordWalk, is_tfrecord
from keras_caffe.errors import CaffeWarning, DataError, LayerError
from keras_caffe.lmdb_file import LmdbFile

RECORDS = 128  # whose memory is kept: those of the two batches that are made at once, in most nets
RECORD_BYTES = 64 << 20  # of records whose memory is kept


def lmdb(path: Path) -> LmdbFile:
    """An LMDB whose records lie in memory that is used again: new pages cost as much as reading into them."""
    return LmdbFile(path, Buffers(RECORDS, RECORD_BYTES).bytes)


READERS: dict[str, Callable[[Path], Walk]] = {"auto": lmdb, "lmdb": lmdb, "tensorflow-io": TensorFlowIoWalk}


class Data(ImageSource):
    """Records in the order of their keys; after the last comes the first, in mid-batch too. rand_skip is ignored.

    SSD's resize_param resizes the images before they are cropped.
    """

    def __init__(self, layer: Any, settings: Settings) -> None:
        super().__init__(layer, settings)
        self.database: Database = open_database(layer.data_param, settings)
        if self.database.size == 0:
            raise empty(self.database.name)
        resizes = layer.transform_param.resize_param
        if len(resizes) > 1:
            raise LayerError("resize_param is given several times", expected="one", received=len(resizes))
        self.resize_param: Any = resizes[0] if resizes else None
        if self.resize_param is not None:
            _check_resize(self.resize_param, layer.name)

    @property
    def resized(self) -> bool:
        return self.resize_param is not None

    def pixels(self, record: Record) -> np.ndarray:
        return self.brought_to_size(super().pixels(record))

    def brought_to_size(self, image: np.ndarray) -> np.ndarray:
        """An image (C, H, W) in the size of resize_param, if there is one."""
        if self.resize_param is None:
            return image
        if image.dtype != np.uint8:
            raise DataError("resize_param takes images of 8 bits", received=image.dtype)
        return resize(image.transpose(1, 2, 0), self.resize_param.height, self.resize_param.width).transpose(2, 0, 1)

    @property
    def size(self) -> int | None:
        return self.database.count()

    def entries(self, numbers: Sequence[int] | np.ndarray) -> list[Entry]:
        return self.database.read(numbers)

    def record(self, entry: Entry) -> Record:
        return from_datum(entry.where, parse(entry.record))


def _check_resize(param: Any, layer: str) -> None:
    if param.resize_mode != type(param).WARP or not param.height or not param.width:
        raise LayerError("this kind of resize_param is not supported", expected="WARP with height and width")
    others = [type(param).Interp_mode.Name(mode) for mode in param.interp_mode if mode != type(param).LINEAR]
    if others:
        text = f"layer {layer!r}: images are resized bilinearly, not as {', '.join(others)} of resize_param"
        warnings.warn(text, CaffeWarning, stacklevel=3)


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
