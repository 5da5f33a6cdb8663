"""HDF5Data: rows of the data sets of HDF5 files (src/caffe/layers/hdf5_data_layer.cpp)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from keras_caffe.data.database import empty
from keras_caffe.data.draws import generator
from keras_caffe.data.sources.base import Settings, Source
from keras_caffe.data.sources.image_data import read_text
from keras_caffe.errors import DataError, LayerError
from keras_caffe.hdf5_file import check_size, find, opened
from keras_caffe.layers.records import positive
from keras_caffe.shapes import Shape

OPEN_FILES = 2  # whose rows are held in memory, as Caffe holds those of one


class HDF5Data(Source):
    """The rows of the data sets that have the tops' names, file after file; batches go on across files.

    With `shuffle` the files come in a new order each epoch, and the rows of each in a new order too.
    """

    def __init__(self, layer: Any, settings: Settings) -> None:
        super().__init__(layer, settings)
        if layer.HasField("transform_param"):
            raise LayerError("HDF5Data does not transform its data", fix="Remove transform_param.")
        self.batch_size: int = positive(layer.hdf5_data_param, "batch_size", "hdf5_data_param")
        path = settings.places.need(layer.hdf5_data_param.source, "list of HDF5 files")
        names = " ".join(read_text(path)).split()
        if not names:
            raise empty(str(path))
        self.files: list[Path] = [settings.places.need(name, "HDF5 file") for name in names]
        contents = [row_shapes(file, self.tops) for file in self.files]
        self.rows: list[int] = [rows for rows, _ in contents]
        self.row_shapes: list[tuple[int, ...]] = contents[0][1]
        for file, (_, shapes) in zip(self.files, contents, strict=True):
            if shapes != self.row_shapes:
                raise DataError(
                    "the rows have another shape than those of the first file",
                    where=str(file),
                    expected=self.row_shapes,
                    received=shapes,
                )
        if not sum(self.rows):
            raise empty(str(path))
        self.order: Callable[[int], tuple[np.ndarray, np.ndarray]] = lru_cache(maxsize=2)(self._order)
        self.load: Callable[[int], list[np.ndarray]] = lru_cache(maxsize=OPEN_FILES)(self._load)
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        return sum(self.rows)

    def shapes(self) -> list[Shape]:
        return [(None, *shape) for shape in self.row_shapes]

    def read(self, numbers: np.ndarray) -> list[np.ndarray]:
        tops = [np.empty((len(numbers), *shape), np.float32) for shape in self.row_shapes]
        epochs, places = np.divmod(numbers, self.size)
        for epoch in np.unique(epochs):
            files, rows = self.order(int(epoch) if self.layer.hdf5_data_param.shuffle else -1)
            here = np.flatnonzero(epochs == epoch)
            for file in np.unique(files[places[here]]):
                targets = here[files[places[here]] == file]
                with self._lock:
                    arrays = self.load(int(file))
                for top, array in zip(tops, arrays, strict=True):
                    top[targets] = array[rows[places[targets]]]
        return [self.stored(top) for top in tops]

    def _order(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """For every place in an epoch its file and its row there; epoch -1 is that of the lists."""
        random = None if epoch < 0 else generator(self.settings.seed, epoch)
        files = np.arange(len(self.files)) if random is None else random.permutation(len(self.files))
        rows = [np.arange(self.rows[f]) if random is None else random.permutation(self.rows[f]) for f in files]
        return np.repeat(files, [len(r) for r in rows]), np.concatenate(rows)

    def _load(self, file: int) -> list[np.ndarray]:
        path, held = self.files[file], (self.rows[file], self.row_shapes)
        with opened(path, DataError) as data:
            sets = data_sets(data, path, self.tops)
            if _rows_of(sets) != held:  # the sizes that were checked and promised
                raise DataError(
                    "the file has changed since it was opened",
                    where=str(path),
                    expected="{} rows of {}".format(*held),
                    received="{} rows of {}".format(*_rows_of(sets)),
                )
            return [found.astype(np.float32)[()] for found in sets]


def row_shapes(path: Path, names: Sequence[str]) -> tuple[int, list[tuple[int, ...]]]:
    """The number of rows in a file, and the shapes of the rows of its data sets.

    Raises:
        DataError: the file is broken, or `data_sets` refuses it.
    """
    with opened(path, DataError) as file:
        return _rows_of(data_sets(file, path, names))


def data_sets(file: Any, path: Path, names: Sequence[str]) -> list[Any]:
    """The data sets of an open file, whose sizes the file can hold.

    Raises:
        DataError: it has no such data sets, or they are not numbers or differ in rows.
    """
    import h5py

    sets = [find(file, name, path) for name in names]
    for name, data in zip(names, sets, strict=True):
        if not isinstance(data, h5py.Dataset) or not data.shape:
            known = ", ".join(file) or "none"
            raise DataError(
                f"no data set {name!r} with rows", where=str(path), expected="one for each top", received=known
            )
        if data.dtype.kind not in "fiu":
            raise DataError(
                f"data set {name!r} holds no numbers",
                where=str(path),
                expected="floats or integers",
                received=data.dtype,
            )
        check_size(data, path, kind=DataError, unwritten=True)
    if len({data.shape[0] for data in sets}) > 1:
        rows = {name: data.shape[0] for name, data in zip(names, sets, strict=True)}
        raise DataError(
            "the data sets differ in their number of rows",
            where=str(path),
            expected="one number",
            received=rows,
        )
    return sets


def _rows_of(sets: Sequence[Any]) -> tuple[int, list[tuple[int, ...]]]:
    return sets[0].shape[0], [tuple(data.shape[1:]) for data in sets]
