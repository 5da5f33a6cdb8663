"""LevelDB through plyvel, in a shadow folder: opening a LevelDB writes files, and the original stays as it is."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_caffe.data.sources.leveldb_blocks import check_tables, refuse_unfinished
from keras_caffe.errors import DataError, unreadable

TABLES = {".ldb", ".sst"}  # never changed once they are written


class LevelDbWalk:
    """Records of a LevelDB in the order of their keys; compressed blocks too.

    Args:
        path: its folder.

    Raises:
        DataError: plyvel is not installed, the database cannot be opened, or a table of it is damaged.
    """

    def __init__(self, path: Path) -> None:
        plyvel = library()
        unfinished = _check(path)
        self.path: Path = path
        shadow = _shadow(path)
        self._tidy = weakref.finalize(self, shutil.rmtree, shadow, True)
        try:
            self.db: Any = plyvel.DB(str(shadow), create_if_missing=False, max_open_files=100)
        except (plyvel.Error, OSError) as error:
            raise _broken(path, error) from None
        refuse_unfinished(path, unfinished, self.db.get_property(b"leveldb.sstables"))

    def items(self, start: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        try:
            with self.db.iterator(start=start, fill_cache=False) as iterator:
                yield from iterator
        except (library().Error, OSError) as error:
            raise _broken(self.path, error) from None

    def count(self) -> None:
        return None  # a LevelDB does not know


def library() -> Any:
    """The module plyvel.

    Raises:
        DataError: it is not installed.
    """
    try:
        import plyvel
    except ImportError:
        raise DataError(
            "plyvel is needed to read a LevelDB",
            fix="Install it with `pip install 'keras-caffe[leveldb]'`.",
        ) from None
    return plyvel


def _check(path: Path) -> list[Path]:
    """Refuses tables that LevelDB would take too much memory for; gives those that are not finished."""
    try:
        return check_tables(path, [file for file in path.iterdir() if file.suffix in TABLES])
    except OSError as error:
        raise _broken(path, error) from None


def _shadow(path: Path) -> Path:
    """A folder with links to the tables and copies of the few small files that LevelDB rewrites."""
    shadow = Path(tempfile.mkdtemp(prefix="keras_caffe_leveldb_"))
    try:
        for file in path.iterdir():
            if file.suffix in TABLES:
                (shadow / file.name).symlink_to(file.resolve())
            elif file.name == "CURRENT" or file.name.startswith("MANIFEST-") or file.suffix == ".log":
                shutil.copyfile(file, shadow / file.name)
    except OSError as error:
        shutil.rmtree(shadow, True)
        raise _broken(path, error) from None
    return shadow


def _broken(path: Path, error: Exception) -> DataError:
    return unreadable(path, error, DataError, "the LevelDB cannot be read", "Copy or write it again.")
