"""The transforms: functions, not classes, so that this module can be imported where Apache Beam is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_caffe.beam.compute import Computer, Picture
from keras_caffe.converters.choices import TFRECORD
from keras_caffe.data.datum import feature_datum, parse
from keras_caffe.data.writers import example
from keras_caffe.errors import DataError, LayerError
from keras_caffe.lmdb_file import LmdbFile
from keras_caffe.runtimes.base import library

ON_ERROR = ("raise", "skip")


def Read(source: str) -> Any:
    """Picture files, or the records of a database, as (name, picture).

    Args:
        source: a pattern of picture files (`/photos/*.jpg`, `gs://bucket/**.jpg`), whose names are their paths; a
            pattern of TFRecord files of Datums (`*.tfrecord`) or an LMDB's folder, whose names are the records' keys.
            Files are read by many workers, an LMDB by one, from which the records go to the others.

    Returns:
        A PTransform.

    Raises:
        ExportError: Apache Beam is missing.
    """
    beam, fileio = _beam(), import_module("apache_beam.io.fileio")

    def read(begin: Any) -> Any:
        if source.endswith(TFRECORD):
            return begin | beam.io.ReadFromTFRecord(source) | beam.Map(_of_example)
        if (Path(source) / "data.mdb").exists():
            return begin | beam.Create([source]) | beam.FlatMap(_of_lmdb) | beam.Reshuffle()
        files = begin | fileio.MatchFiles(source) | beam.Reshuffle() | fileio.ReadMatches()
        return files | beam.Map(lambda file: (file.metadata.path, file.read()))

    return beam.ptransform_fn(read)()


def Predict(
    net: Any,
    weights: Any = None,
    *,
    outputs: Sequence[str],
    preprocessing: Mapping[str, Any] | Callable[[Picture], np.ndarray] | None = None,
    batch_size: int = 32,
    on_error: str = "raise",
    **options: Any,
) -> Any:
    """(name, picture) -> (name, {blob: array}), in Caffe's order, without the axis of the batch.

    Args:
        net, weights: as of `keras_caffe.load`; without weights the path of an export, as of `keras_caffe.engine`.
            Workers must find the files under the same names.
        outputs: the blobs.
        preprocessing: what makes an input of a picture: a dict as of `keras_caffe.export` (resize, crop, mean, scale,
            bgr), or a function from a file's bytes, or a record's (C, H, W), to (C, H, W).
        batch_size: pictures that the net takes at once.
        on_error: "raise", or "skip" to leave out pictures that cannot be decoded; Beam's counter
            keras_caffe/unreadable counts them.
        **options: further arguments of `keras_caffe.engine`: name, precision, threads (default here: 1, as Beam runs a
            process for each processor), ...

    Returns:
        A PTransform.

    Raises:
        ExportError: Apache Beam is missing.
        DataError: no such on_error; while it runs, a picture that cannot be decoded.
    """
    if on_error not in ON_ERROR:
        raise DataError("no such on_error", expected=" or ".join(ON_ERROR), received=repr(on_error))
    beam, computer = _beam(), Computer(net, weights, tuple(outputs), preprocessing or {}, options)
    compute = _Compute(computer, on_error == "skip")

    def predict(pictures: Any) -> Any:
        batches = pictures | beam.BatchElements(min_batch_size=batch_size, max_batch_size=batch_size)
        return batches | beam.FlatMap(compute)

    return beam.ptransform_fn(predict)()


def Write(prefix: str, blob: str, shards: int = 0) -> Any:
    """(name, {blob: array}) -> TFRecord files of one blob's Datums, which `keras_caffe.dataset` reads.

    Each name is written once, however often a runner repeats a part of the work or a source gives it. The files get
    their names when all are complete.

    Args:
        prefix: what the files' names begin with.
        blob: which one.
        shards: how many files; 0: as the runner likes.

    Returns:
        A PTransform.

    Raises:
        ExportError: Apache Beam is missing.
    """
    beam = _beam()

    def write(found: Any) -> Any:
        records = found | beam.MapTuple(lambda name, arrays: (name, feature_datum(blob, arrays[blob])))
        once = records | beam.GroupByKey() | beam.MapTuple(_first)
        return once | beam.io.WriteToTFRecord(prefix, file_name_suffix=TFRECORD, num_shards=shards)

    return beam.ptransform_fn(write)()


def _beam() -> Any:
    return library("apache_beam", "Apache Beam", "beam", "2.60")


@dataclass
class _Compute:
    """A batch of (name, picture) -> (name, {blob: array}); pictures that cannot be read stop it or are left out."""

    computer: Computer
    skip: bool

    def __call__(self, batch: Sequence[tuple[str, Picture]]) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        pairs = [(name, self._input(name, picture)) for name, picture in batch]
        inputs = [(name, x) for name, x in pairs if x is not None]
        found = self.computer([x for _, x in inputs]) if inputs else []
        return zip((name for name, _ in inputs), found, strict=True)

    def _input(self, name: str, picture: Picture) -> np.ndarray | None:
        """The net's input; None for a picture that cannot be read and is left out."""
        try:
            return self.computer.prepare(picture)
        except (DataError, LayerError) as error:
            if not self.skip:
                raise DataError(str(error.at(where=name))) from None  # of an error Beam shows the first argument
            _beam().metrics.Metrics.counter("keras_caffe", "unreadable").inc()
            return None


def _of_example(data: bytes) -> tuple[str, Picture]:
    features = tf.train.Example.FromString(data).features.feature
    return _named(features["key"].bytes_list.value[0], features["datum"].bytes_list.value[0])


def _of_lmdb(folder: str) -> Iterator[tuple[str, Picture]]:
    return (_named(bytes(key), record) for key, record in LmdbFile(Path(folder)).items())


def _named(key: bytes, record: bytes | memoryview) -> tuple[str, Picture]:
    datum = parse(record)
    return key.decode("utf-8", "backslashreplace"), bytes(datum.data) if datum.encoded else datum.pixels().copy()


def _first(name: str, records: Iterable[bytes]) -> bytes:
    return example(name.encode(), next(iter(records)))
