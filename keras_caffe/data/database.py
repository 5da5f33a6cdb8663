"""Databases of records, read in the order of their keys by running record number."""

from __future__ import annotations

import bisect
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from keras_caffe.data.datum import Buffer
from keras_caffe.errors import DataError

MARK_EVERY = 256  # records between the keys that are remembered
BACKENDS = {"data.mdb": "LMDB", "CURRENT": "LEVELDB"}  # by a file that each has in its folder


class Entry(NamedTuple):
    """One record of a database, and where it is, for errors."""

    where: str
    record: Buffer


class Walk(Protocol):
    """A way through a database: keys and values from a key on, or from the first."""

    def items(self, start: bytes | None = None) -> Iterator[tuple[bytes, Buffer]]: ...

    def count(self) -> int | None:
        """The number of records if it is known without reading them all."""


class Database:
    """Gives the records with given running numbers; after the last record comes the first again.

    Records lie in the order of their keys, so that a number is found by walking on from where the last one was, or from
    the nearest key that is remembered. Nothing is read before it is asked for.

    Args:
        walk: the database.
        name: its name, for errors.
    """

    def __init__(self, walk: Walk, name: str) -> None:
        self.walk: Walk = walk
        self.name: str = name
        self.size = walk.count()
        self._marks: dict[int, bytes | None] = {0: None}
        self._sorted = [0]
        self._lock = threading.Lock()
        self._start(0)

    def read(self, numbers: Sequence[int] | np.ndarray) -> list[Entry]:
        """The records with these running numbers.

        Raises:
            DataError: the database has no records.
        """
        with self._lock:
            return [self._at(int(number)) for number in numbers]

    def count(self) -> int:
        """The number of records; walks through all of them if the database does not tell."""
        with self._lock:
            while self.size is None:
                self._next()
            return self.size

    def _at(self, number: int) -> Entry:
        while self.size is None and number >= self._index:
            entry = self._next()
            if entry is not None and number == self._index - 1:
                return entry
        index = number if self.size is None else number % self.size
        mark = self._sorted[bisect.bisect_right(self._sorted, index) - 1]
        if not mark <= self._index <= index:
            self._start(mark)
        while True:
            entry = self._next()
            if entry is None:
                raise self._changed(index)
            if self._index == index + 1:
                return entry

    def _start(self, mark: int) -> None:
        self._items, self._index = self.walk.items(self._marks[mark]), mark

    def _next(self) -> Entry | None:
        """The next record; None after the last, when the first is the next one."""
        for key, value in self._items:
            if self._index % MARK_EVERY == 0 and self._index not in self._marks:
                self._marks[self._index] = bytes(key)
                bisect.insort(self._sorted, self._index)
            self._index += 1
            return Entry(f"{self.name}, record {self._index - 1} (key {_shown(key)})", value)
        if self.size is None and not self._index:
            raise empty(self.name)
        self.size = self.size if self.size is not None else self._index
        self._start(0)
        return None

    def _changed(self, index: int) -> DataError:
        return DataError("the database has lost records since it was opened", where=self.name, received=f"no {index}")


def empty(name: str) -> DataError:
    """The error for a source without records."""
    return DataError("there are no records", where=name, fix="Write it again, or name another source.")


def check_backend(path: Path, backend: str, layer_says: bool) -> None:
    """Refuses a folder that another library wrote than the layer says.

    Raises:
        DataError: it is such a folder, or no database at all.
    """
    kinds = [kind for file, kind in BACKENDS.items() if (path / file).is_file()]
    if kinds == [backend] or (path.is_file() and backend == "LMDB"):
        return
    said = f"backend: {backend}" if layer_says else f"{backend}, Caffe's default"
    if kinds:
        fix = f"Set backend: {kinds[0]} in data_param."
        raise DataError("the database is of another kind", where=str(path), expected=said, received=kinds[0], fix=fix)
    wanted = next(file for file, kind in BACKENDS.items() if kind == backend)
    raise DataError(
        "this is not a database",
        where=str(path),
        expected=f"a folder with {wanted} ({said})",
        received="a file"
        if path.is_file()
        else ", ".join(sorted(entry.name for entry in path.iterdir())[:5]) or "an empty folder",
    )


def _shown(key: bytes) -> str:
    return bytes(key).decode("utf-8", "backslashreplace")
