"""Caffe's programs that make and read databases of images: tools/convert_imageset.cpp, compute_image_mean.cpp."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_caffe.cli.programs.flags import Program, Values
from keras_caffe.cli.programs.glog import ERROR, log
from keras_caffe.data.imageset import BY_NAME, ImageSet, find_images
from keras_caffe.data.statistics import mean_image, open_any, records, write_mean
from keras_caffe.data.writers import write
from keras_caffe.errors import CaffeError


def convert(values: Values, positional: Sequence[str]) -> int:
    if len(positional) < 3:
        print(convert_imageset.help("convert_imageset"))
        return 1
    root, listing, target = positional[:3]
    check_backend(values.backend)
    lines, _ = find_images(listing)
    if values.shuffle:
        log("Shuffling data", "convert_imageset.cpp:86")
        random.shuffle(lines)
    log(f"A total of {len(lines)} images.", "convert_imageset.cpp:89")
    encoded = _encoding(values)
    size = (max(0, values.resize_height), max(0, values.resize_width))
    images = ImageSet(lines, Path(root), values.gray, size if all(size) else None, encoded, values.check_size)
    count = write(target, images.records(lambda error: log(str(error), "io.cpp:80", ERROR)), values.backend)
    log(f"Processed {count} files.", "convert_imageset.cpp:153")
    return 0


def _encoding(values: Values) -> str:
    if not values.encode_type:
        return BY_NAME if values.encoded else ""
    if not values.encoded:
        log("encode_type specified, assuming encoded=true.", "convert_imageset.cpp:92")
    kind = {"jpeg": "jpg"}.get(values.encode_type.lower(), values.encode_type.lower())
    if kind not in ("jpg", "png"):
        raise CaffeError("no such encode_type", expected="jpg or png", received=values.encode_type)
    return kind


def mean(values: Values, positional: Sequence[str]) -> int:
    if len(positional) not in (1, 2):
        print(compute_image_mean.help("compute_image_mean"))
        return 1
    check_backend(values.backend)
    walk = open_any(positional[0])
    log("Starting iteration", "compute_image_mean.cpp:71")
    count = itertools.count()
    image = mean_image(record for record, _ in zip(records(walk.items()), count, strict=False))  # the first ends it
    log(f"Processed {next(count)} files.", "compute_image_mean.cpp:101")
    if len(positional) == 2:
        log(f"Write to {positional[1]}", "compute_image_mean.cpp:108")
        write_mean(positional[1], image)
    log(f"Number of channels: {len(image)}", "compute_image_mean.cpp:114")
    for channel, value in enumerate(image.reshape(len(image), -1).mean(1, dtype=np.float64)):
        log(f"mean_value channel [{channel}]: {value:g}", "compute_image_mean.cpp:119")
    return 0


def check_backend(backend: str) -> None:
    """Refuses a kind of database that Caffe has not."""
    if backend not in ("lmdb", "leveldb"):
        raise CaffeError(f"Unknown database backend {backend}", expected="lmdb or leveldb")


convert_imageset = Program(
    """Convert a set of images to the leveldb/lmdb
format used as input for Caffe.
Usage:
    convert_imageset [FLAGS] ROOTFOLDER/ LISTFILE DB_NAME""",
    convert,
    (
        ("gray", False, "When this option is on, treat images as grayscale ones"),
        ("shuffle", False, "Randomly shuffle the order of images and their labels"),
        ("backend", "lmdb", "The backend {lmdb, leveldb} for storing the result"),
        ("resize_width", 0, "Width images are resized to"),
        ("resize_height", 0, "Height images are resized to"),
        ("check_size", False, "When this option is on, check that all the datum have the same size"),
        ("encoded", False, "When this option is on, the encoded image will be saved in datum"),
        ("encode_type", "", "How to encode the images: 'png' or 'jpg'; by default as a name's ending says"),
    ),
)
compute_image_mean = Program(
    """Compute the mean_image of a set of images given by a leveldb/lmdb
Usage:
    compute_image_mean [FLAGS] INPUT_DB [OUTPUT_FILE]""",
    mean,
    (("backend", "lmdb", "The backend {leveldb, lmdb} containing the images; which it is shows by itself"),),
)
