"""A LeNet that real Caffe trained and the MNIST digits it was tested on; NOTE.md tells where they come from."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np

from keras_caffe import proto
from keras_caffe.errors import ReadError, instead, not_found
from keras_caffe.lmdb_file import LmdbFile

SCALE = 1 / 256  # lenet_train_test.prototxt: transform_param { scale: 0.00390625 }


def path(name: str = "") -> Path:
    """The path of the sample `name`, for example "lenet.caffemodel"; of the folder itself if no name is given.

    Raises ReadError if there is no such sample.
    """
    folder = Path(str(resources.files(__package__)))
    if not (folder / name).exists():
        missing = not_found(folder / name)
        raise ReadError(f"there is no sample {name!r}", where=str(folder), cause=missing, **instead([name], names()))
    return folder / name


def names() -> list[str]:
    """The names that `path` takes."""
    folder = Path(str(resources.files(__package__)))
    files = [*folder.glob("lenet*"), *folder.glob("db/*")]
    return sorted(file.relative_to(folder).as_posix() for file in files)


def digits() -> tuple[np.ndarray, np.ndarray]:
    """The test digits: images, uint8 (N, 1, 28, 28), and labels, int64 (N,). Caffe multiplied images by `SCALE`."""
    database = LmdbFile(path("db/mnist_test_lmdb"))
    records = [proto.Datum.FromString(bytes(value)) for _, value in database.items()]
    pixels = np.frombuffer(b"".join(record.data for record in records), np.uint8)
    images = pixels.reshape(-1, records[0].channels, records[0].height, records[0].width)
    return images, np.array([record.label for record in records], np.int64)
