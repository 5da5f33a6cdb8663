"""LMDB through the `lmdb` package: records are views on the mapped file."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_caffe.errors import DataError

_open: weakref.WeakValueDictionary[Path, _Environment] = weakref.WeakValueDictionary()
_opening = threading.Lock()


class _Environment:
    """An environment open for reading, once a process, as LMDB asks for. It takes no lock and writes no file."""

    def __init__(self, path: Path) -> None:
        import lmdb

        check_length(path)
        try:
            self.env = lmdb.open(str(path), readonly=True, lock=False, subdir=path.is_dir(), max_dbs=0)
            self.txn = self.env.begin(buffers=True)
        except lmdb.Error as error:
            raise _broken(path, error) from None


class LmdbWalk:
    """Records of an LMDB in the order of their keys.

    Args:
        path: its folder, or its file.

    Raises:
        DataError: it cannot be opened, or is cut off.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        with _opening:
            self.environment = _open.get(self.path) or _Environment(self.path)
            _open[self.path] = self.environment

    def items(self, start: bytes | None = None) -> Iterator[tuple[Any, Any]]:
        import lmdb

        try:
            cursor = self.environment.txn.cursor()
            if cursor.first() if start is None else cursor.set_range(start):
                yield from cursor.iternext()
        except lmdb.Error as error:
            raise _broken(self.path, error) from None

    def count(self) -> int:
        return self.environment.env.stat()["entries"]


def check_length(path: Path) -> None:
    """Refuses a file that is cut off: reading beyond its end would kill the process.

    Raises:
        DataError: it is empty or shorter than its last page.
    """
    import lmdb

    file = path / "data.mdb" if path.is_dir() else path
    try:
        size = file.stat().st_size
        with lmdb.open(str(path), readonly=True, lock=False, subdir=path.is_dir(), map_size=1 << 20) as env:
            needed = (env.info()["last_pgno"] + 1) * env.stat()["psize"]
    except (lmdb.Error, OSError) as error:
        raise _broken(path, error) from None
    if size < needed:
        raise DataError(
            "the database is cut off",
            where=str(file),
            expected=f"at least {needed} bytes",
            received=size,
            fix="Copy or write it again.",
        )


def _broken(path: Path, error: Exception) -> DataError:
    return DataError(
        "the LMDB cannot be read",
        where=str(path),
        received=error,
        fix="It is damaged, was written on a machine of another kind, or may not be read by this user.",
    )
