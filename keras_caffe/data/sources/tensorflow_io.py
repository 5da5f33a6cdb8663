"""LMDB through tensorflow-io's reader, where that is installed and loads (TensorFlow 2.16)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_caffe.errors import DataError, Option
from keras_caffe.lmdb_file import LmdbFile


class TensorFlowIoWalk:
    """Records of an LMDB in the order of their keys, as tensorflow-io's data set gives them.

    Args:
        path: its folder.

    Raises:
        DataError: tensorflow-io is missing or does not load, or the database cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path: Path = path
        self.tfio: Any = library()
        self.size: int = LmdbFile(path).count()

    def items(self, start: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        file = self.path / "data.mdb" if self.path.is_dir() else self.path
        for key, value in self.tfio.IODataset.from_lmdb(str(file)).as_numpy_iterator():
            if start is None or key >= start:
                yield key, value

    def count(self) -> int:
        return self.size


def library() -> Any:
    """The module tensorflow_io, with its LMDB reader loaded.

    Raises:
        DataError: it is missing or does not load beside this TensorFlow.
    """
    try:
        import tensorflow_io

        _ = tensorflow_io.IODataset.from_lmdb  # loads the native library
    except Exception as error:  # ImportError, NotImplementedError, or what its loader raises
        raise DataError(
            "tensorflow-io cannot be used",
            received=f"{type(error).__name__}: {error}",
            fix=(
                "Install it with `pip install 'keras-caffe[tensorflow-io]'` (TensorFlow 2.16).",
                Option("reader", "lmdb", "to do without it"),
            ),
        ) from None
    return tensorflow_io
