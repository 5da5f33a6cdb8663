"""TFRecord files of Datums, as `keras-caffe dataset convert` writes them: an Example with `key` and `datum` each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from keras_caffe.errors import DataError, unreadable

SUFFIX = ".tfrecord"


def is_tfrecord(path: Path) -> bool:
    """Whether a path names such a file, or a folder of them."""
    return path.suffix == SUFFIX or (path.is_dir() and any(path.glob(f"*{SUFFIX}")))


class TfRecordWalk:
    """The records of a file, or of a folder's files in the order of their names.

    Args:
        path: the file or folder.
    """

    def __init__(self, path: Path) -> None:
        self.files = [path] if path.is_file() else sorted(path.glob(f"*{SUFFIX}"))

    def items(self, start: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        started = start is None
        for file in self.files:
            for key, datum in self._file(file):
                started = started or key == start
                if started:
                    yield key, datum

    def count(self) -> None:
        return None

    def _file(self, file: Path) -> Iterator[tuple[bytes, bytes]]:
        try:
            file.open("rb").close()  # says why it may not be read, in Python's words
            for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
                features = tf.train.Example.FromString(record).features.feature
                yield features["key"].bytes_list.value[0], features["datum"].bytes_list.value[0]
        except OSError as error:
            raise unreadable(file, error, DataError) from None
        except (tf.errors.OpError, IndexError, ValueError) as error:
            reason = str(getattr(error, "message", error)).split(" [Op:")[0]
            raise DataError("the TFRecord file cannot be read", where=str(file), received=reason) from None
