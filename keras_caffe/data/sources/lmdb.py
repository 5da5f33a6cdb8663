"""LMDB through the `lmdb` package: records are views on the mapped file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_caffe.lmdb_environment import broken, environment


class LmdbWalk:
    """Records of an LMDB in the order of their keys.

    Args:
        path: its folder, or its file.

    Raises:
        DataError: it cannot be opened, or is cut off.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.environment = path, environment(path)

    def items(self, start: bytes | None = None) -> Iterator[tuple[Any, Any]]:
        import lmdb

        try:
            cursor = self.environment.txn.cursor()
            if cursor.first() if start is None else cursor.set_range(start):
                yield from cursor.iternext()
        except lmdb.Error as error:
            raise broken(self.path, error) from None

    def count(self) -> int:
        return self.environment.env.stat()["entries"]
