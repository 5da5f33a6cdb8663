"""TFRecord files of Datums, as `keras-caffe dataset convert` writes them: an Example with `key` and `datum` each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError

from keras_caffe.converters.choices import TFRECORD
from keras_caffe.errors import DataError, unreadable

HEAD, TAIL = 12, 4  # bytes around a record: its length and the checksum of that; its checksum


def is_tfrecord(path: Path) -> bool:
    """Whether a path names such a file, or a folder of them."""
    return path.suffix == TFRECORD or (path.is_dir() and any(path.glob(f"*{TFRECORD}")))


class TfRecordWalk:
    """The records of a file, or of a folder's files in the order of their names.

    Args:
        path: the file or folder.
    """

    def __init__(self, path: Path) -> None:
        self.files: list[Path] = [path] if path.is_file() else sorted(path.glob(f"*{TFRECORD}"))

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
            _check_lengths(file)
            for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
                features = tf.train.Example.FromString(record).features.feature
                yield features["key"].bytes_list.value[0], features["datum"].bytes_list.value[0]
        except OSError as error:
            raise unreadable(file, error, DataError) from None
        except (tf.errors.OpError, DecodeError, IndexError, ValueError) as error:
            reason = str(getattr(error, "message", error)).split(" [Op:")[0]
            raise DataError("the TFRecord file cannot be read", where=str(file), received=reason) from None


def _check_lengths(file: Path) -> None:
    """Goes from record to record before TensorFlow does, which ends the process where a length is impossible.

    Raises:
        DataError: a record is longer than what is left of the file.
    """
    with file.open("rb", buffering=0) as opened:
        left = os.fstat(opened.fileno()).st_size
        while left:
            length = int.from_bytes(opened.read(HEAD)[:8], "little")
            left -= HEAD + length + TAIL
            if left < 0:
                raise DataError(
                    "the TFRecord file is cut off or damaged",
                    where=str(file),
                    received=f"a record of {length} bytes, {-left} more than there are",
                    fix="Copy or write it again.",
                )
            opened.seek(length + TAIL, os.SEEK_CUR)
