"""Caffe's programs that make the databases of its tutorials: examples/mnist, examples/siamese and examples/cifar10."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from keras_caffe import proto
from keras_caffe.cli.programs.databases import check_backend
from keras_caffe.cli.programs.glog import log
from keras_caffe.cli.programs.usage import Values
from keras_caffe.data.writers import KeyValue, write
from keras_caffe.errors import ReadError, unreadable

IMAGES, LABELS = 2051, 2049  # what MNIST's files begin with
CIFAR = (3, 32, 32)
BATCHES = {"train": [f"data_batch_{number}.bin" for number in range(1, 6)], "test": ["test_batch.bin"]}
MNIST_PLACE, CIFAR_PLACE = "convert_mnist_data.cpp", "convert_cifar_data.cpp"


def mnist(values: Values, positional: Sequence[str]) -> int:
    check_backend(values.backend)
    images, labels = _digits(positional[0], positional[1], f"{MNIST_PLACE}:90")
    count = write(positional[2], _records(zip(labels, images[:, None], strict=True), 8), values.backend)
    log(f"Processed {count} files.", f"{MNIST_PLACE}:109")
    return 0


def siamese(values: Values, positional: Sequence[str]) -> int:
    """Pairs of digits drawn at random, as many as there are digits, with label 1 for two of a kind."""
    if len(positional) != 3:
        print("This script converts the MNIST dataset to the leveldb format used\nby caffe to train a siamese network.")
        print("Usage:\n    convert_mnist_data input_image_file input_label_file output_db_file")
        return 0
    images, labels = _digits(positional[0], positional[1], "convert_mnist_siamese_data.cpp:86")
    pairs = random.choices(range(len(images)), k=2 * len(images))
    drawn = zip(pairs[::2], pairs[1::2], strict=True)
    write(positional[2], _records(((labels[i] == labels[j], images[[i, j]]) for i, j in drawn), 8), "leveldb")
    return 0


def _digits(images: str, labels: str, place: str) -> tuple[np.ndarray, np.ndarray]:
    """The images and the labels of two of MNIST's files."""
    pixels, numbers = _idx(images, IMAGES, 3), _idx(labels, LABELS, 1)
    if len(pixels) != len(numbers):
        received = f"{len(pixels)} images and {len(numbers)} labels"
        raise ReadError("the files do not belong together", where=labels, received=received)
    log(f"A total of {len(pixels)} items.", place)
    log(f"Rows: {pixels.shape[1]} Cols: {pixels.shape[2]}", place)
    return pixels, numbers


def cifar(values: Values, positional: Sequence[str]) -> int:
    if len(positional) != 3:
        print("This script converts the CIFAR dataset to the leveldb format used\nby caffe to perform classification.")
        print("Usage:\n    convert_cifar_data input_folder output_folder db_type")
        return 0
    folder, target, kind = positional
    check_backend(kind)
    for which, names in BATCHES.items():
        log(f"Writing {which.capitalize()}ing data", f"{CIFAR_PLACE}:52")
        images = (image for name in names for image in _cifar(Path(folder) / name))
        write(Path(target) / f"cifar10_{which}_{kind}", _records(images, 5), kind)
    return 0


def _read(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise unreadable(path, error) from None


def _idx(path: str, magic: int, axes: int) -> np.ndarray:
    """The bytes of one of MNIST's files: a number that says what it is, the sizes, the values.

    Raises:
        ReadError: it is missing, another file, or not whole.
    """
    data = _read(path)
    head = np.frombuffer(data[: 4 * (axes + 1)], ">u4").astype(np.int64).tolist()
    if len(head) <= axes or head[0] != magic:
        raise ReadError("this is not such a file of MNIST", where=path, expected=f"a file that begins with {magic}")
    values = np.frombuffer(data, np.uint8, offset=4 * (axes + 1))
    if len(values) != np.prod(head[1:]):
        raise ReadError("the file is incomplete", where=path, expected=head[1:], received=f"{len(values)} bytes")
    return values.reshape(head[1:])


def _cifar(path: Path) -> Iterator[tuple[int, np.ndarray]]:
    """(label, image) of one of CIFAR-10's files, in which each image follows its label."""
    data, size = np.frombuffer(_read(path), np.uint8), 1 + int(np.prod(CIFAR))
    if len(data) == 0 or len(data) % size:
        raise ReadError(
            "this is not a binary file of CIFAR-10", where=str(path), expected=f"a multiple of {size} bytes"
        )
    yield from ((int(image[0]), image[1:].reshape(CIFAR)) for image in data.reshape(-1, size))


def _records(images: Iterable[tuple[int, np.ndarray]], digits: int) -> Iterator[KeyValue]:
    for number, (label, image) in enumerate(images):
        channels, height, width = image.shape
        datum = proto.Datum(channels=channels, height=height, width=width, data=image.tobytes(), label=int(label))
        yield f"{number:0{digits}d}".encode(), datum.SerializeToString()
