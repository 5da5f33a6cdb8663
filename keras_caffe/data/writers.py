"""Databases that are written whole or not at all: under another name first, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_caffe.converters.choices import DATABASES, TFRECORD
from keras_caffe.converters.write import replacing
from keras_caffe.data.sources.leveldb import library
from keras_caffe.errors import CaffeError, DataError, not_found
from keras_caffe.hdf5_file import created
from keras_caffe.whole import place, scratch

KeyValue = tuple[bytes, bytes]

BATCH = 1000  # records of a transaction, as in convert_imageset
FIRST_MAP = 1 << 26  # bytes that an LMDB's map begins with; it is doubled as needed


def write(path: str | os.PathLike[str], records: Iterable[KeyValue], kind: str = "lmdb", shards: int = 1) -> int:
    """Writes records to a new database; returns how many.

    If anything goes wrong, or it is interrupted, nothing is left under the name.

    Args:
        path: of the folder, or of the file (TFRecord with one shard).
        records: (key, value) in bytes, each key once; a Datum as `datum.SerializeToString()`.
        kind: "lmdb", "leveldb" or "tfrecord".
        shards: files of a TFRecord folder.

    Raises:
        DataError: something of that name exists, a key occurs twice, a record is not bytes, or there are none.
        Whatever `records` raises itself.
    """
    target = Path(path)
    if kind not in KINDS:
        raise DataError("no such kind of database", expected=" or ".join(KINDS), received=repr(kind))
    try:
        if target.exists():
            raise _exists(target)
        folder = target.resolve().parent
        if not folder.is_dir():
            problem = "there is no folder for the database"
            raise DataError(problem, where=str(folder), cause=not_found(target.absolute()))
        with scratch(folder) as made:
            new = made / target.name
            count = KINDS[kind](new, _checked(records), shards)
            if not count:
                raise DataError("there are no records to write", where=str(target))
            if target.exists():
                raise _exists(target)
            place(new, target)
            return count
    except _RecordsError as error:
        assert error.__cause__ is not None  # noqa: S101  # `_checked` has set it.
        raise error.__cause__ from None
    except CaffeError:
        raise
    except _failures() as error:
        if isinstance(error, OSError) and error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise _exists(target) from None
        reason = getattr(error, "strerror", None) or error
        cause = error if isinstance(error, OSError) else None
        raise DataError(f"the database cannot be written: {reason}", where=str(target), cause=cause) from None


def _failures() -> tuple[type[Exception], ...]:
    """What the system and the libraries raise where a disk is full or a folder closed."""
    import lmdb

    with contextlib.suppress(DataError):
        return OSError, lmdb.Error, tf.errors.OpError, library().Error
    return OSError, lmdb.Error, tf.errors.OpError


def _exists(target: Path) -> DataError:
    return DataError(
        "something with this name exists already",
        where=str(target),
        fix="Remove it, or name another.",
        cause=FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)),
    )


class _RecordsError(Exception):
    """Carries what the caller's records raise past the handling of the database's own errors."""


def _given(records: Iterable[KeyValue]) -> Iterator[KeyValue]:
    try:
        yield from records
    except Exception as error:
        raise _RecordsError from error


def _checked(records: Iterable[KeyValue]) -> Iterator[KeyValue]:
    for number, record in enumerate(_given(records)):
        if not all(isinstance(part, bytes | bytearray | memoryview) for part in record):
            raise DataError(
                f"key and value of record {number} are not bytes",
                expected="(key.encode(), datum.SerializeToString())",
                received=f"({', '.join(type(part).__name__ for part in record)})",
            )
        yield record


def write_hdf5(path: str | os.PathLike[str], data: Any, label: Any) -> None:
    """Writes the file of an HDF5Output layer: float32 data sets "data" and "label" with four axes.

    Args:
        path: of the file; one that is there is replaced.
        data, label: arrays with the same number of rows and at most four axes; one without axes is one row.

    Raises:
        DataError: they have more axes, or differ in rows, or the file is there and of another kind.

    Caffe: src/caffe/layers/hdf5_output_layer.cpp
    """
    import h5py

    given = {"data": np.asarray(data, np.float32), "label": np.asarray(label, np.float32)}
    arrays = {name: array.reshape(array.shape + (1,) * (4 - array.ndim)) for name, array in given.items()}
    if max(array.ndim for array in arrays.values()) > 4 or len({len(array) for array in arrays.values()}) > 1:
        shapes = {name: array.shape for name, array in given.items()}
        raise DataError("HDF5Output takes blobs of at most four axes and the same number of rows", received=shapes)
    if Path(path).exists() and not h5py.is_hdf5(path):  # whose name a net from elsewhere may have
        raise DataError("HDF5Output does not replace a file of another kind", where=str(path), fix="Remove it.")
    with replacing(path) as new, created(new) as file:
        for name, array in arrays.items():
            file[name] = array


def _write_lmdb(path: Path, records: Iterable[KeyValue], _: int) -> int:
    import lmdb

    count, size = 0, FIRST_MAP
    with lmdb.open(str(path), map_size=size, sync=False, metasync=False) as env:
        for batch in _batches(records):
            size = _room(env, size, sum(len(key) + len(value) for key, value in batch))
            with env.begin(write=True) as transaction:
                for key, value in batch:
                    if not transaction.put(key, value, overwrite=False):
                        raise _twice(key)
            count += len(batch)
        env.sync(True)
    (path / "lock.mdb").unlink(missing_ok=True)
    return count


def _room(env: Any, size: int, needed: int) -> int:
    """Makes the map larger if a batch might not fit; returns its size."""
    used = env.info()["last_pgno"] * env.stat()["psize"]
    while used + 2 * needed + (1 << 22) > size:
        size *= 2
    env.set_mapsize(size)
    return size


def _write_leveldb(path: Path, records: Iterable[KeyValue], _: int) -> int:
    count = 0
    with contextlib.closing(library().DB(str(path), create_if_missing=True, error_if_exists=True)) as db:
        for batch in _batches(records):
            with db.write_batch() as changes:
                for key, value in batch:
                    changes.put(key, value)
            count += len(batch)
    return count


def _write_tfrecord(path: Path, records: Iterable[KeyValue], shards: int) -> int:
    if shards > 1:
        path.mkdir()
        names = [str(path / f"{shard:05d}-of-{shards:05d}{TFRECORD}") for shard in range(shards)]
    else:
        names = [str(path)]
    count = 0
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(tf.io.TFRecordWriter(name)) for name in names]
        for count, (key, value) in enumerate(records, 1):
            files[(count - 1) % shards].write(example(key, value))
    return count


def example(key: bytes, value: bytes) -> bytes:
    """A record of a TFRecord file."""
    feature = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[data]))
        for name, data in (("key", bytes(key)), ("datum", bytes(value)))
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def _batches(records: Iterable[KeyValue]) -> Iterator[list[KeyValue]]:
    batch: list[KeyValue] = []
    for record in records:
        batch.append(record)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _twice(key: bytes) -> DataError:
    return DataError(
        "a key occurs twice", received=repr(key), fix="Each image may be in the list once under one number."
    )


KINDS: dict[str, Callable[[Path, Iterable[KeyValue], int], int]] = dict(
    zip(DATABASES, (_write_lmdb, _write_leveldb, _write_tfrecord), strict=True)
)
