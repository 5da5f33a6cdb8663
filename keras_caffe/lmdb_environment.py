"""LMDB environments open for reading, each once in a process, as the `lmdb` package asks for."""

from __future__ import annotations

import os
import threading
import weakref
from pathlib import Path

import lmdb

from keras_caffe.errors import DataError, unreadable

_open: weakref.WeakValueDictionary[tuple[int, int], Environment] = weakref.WeakValueDictionary()  # by file, not name
_opening = threading.Lock()


class Environment:
    """An LMDB and a transaction on it, whose records are views on the mapped file. It takes no lock and writes no file.

    Args:
        path: its folder, or its file.

    Raises:
        DataError: it cannot be opened, or is cut off.
    """

    def __init__(self, path: Path) -> None:
        check_length(path)
        try:
            self.env = lmdb.open(str(path), readonly=True, lock=False, subdir=path.is_dir(), max_dbs=0)
            self.txn = self.env.begin(buffers=True)
        except lmdb.Error as error:
            raise broken(path, error) from None


def environment(path: Path) -> Environment:
    """The environment of a path: the one that is open already, or a new one, which is closed when nobody holds it.

    Raises:
        DataError: it cannot be opened, or is cut off.
    """
    try:
        status = _file(path).stat()
    except OSError as error:
        raise broken(path, error) from None
    with _opening:
        opened = _open.get((status.st_dev, status.st_ino)) or Environment(path)
        _open[status.st_dev, status.st_ino] = opened
    return opened


def check_length(path: Path) -> None:
    """Refuses a file that is cut off: reading beyond its end would kill the process.

    Raises:
        DataError: it is empty or shorter than its last page.
    """
    try:
        with _file(path).open("rb") as file:  # says why it may not be read, which LMDB does not
            size = file.seek(0, os.SEEK_END)
        with lmdb.open(str(path), readonly=True, lock=False, subdir=path.is_dir(), map_size=1 << 20) as env:
            needed = (env.info()["last_pgno"] + 1) * env.stat()["psize"]
    except (lmdb.Error, OSError) as error:
        raise broken(path, error) from None
    if size < needed:
        raise DataError(
            "the database is cut off",
            where=str(_file(path)),
            expected=f"at least {needed} bytes",
            received=size,
            fix="Copy or write it again.",
        )


def _file(path: Path) -> Path:
    return path / "data.mdb" if path.is_dir() else path


def broken(path: Path, error: Exception) -> DataError:
    """The error for what LMDB says of a database."""
    if "already open in this process" in str(error):
        problem, fix = "the LMDB is open elsewhere in this process", "Close it there first: LMDB allows it once."
        return DataError(problem, where=str(path), fix=fix)
    fix = "It is damaged, was written on a machine of another kind, or may not be read by this user."
    return unreadable(path, error, DataError, "the LMDB cannot be read", fix)
