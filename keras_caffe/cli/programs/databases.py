"""Caffe's programs that make and read databases of images: tools/convert_imageset.cpp, compute_image_mean.cpp."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import numpy as np

from keras_caffe.cli.programs.glog import ERROR, log
from keras_caffe.cli.programs.usage import Values
from keras_caffe.data.imageset import BY_NAME, ImageSet, find_images
from keras_caffe.data.statistics import mean_image, open_any, records, write_mean
from keras_caffe.data.writers import write
from keras_caffe.errors import CaffeError


def convert(values: Values, positional: Sequence[str]) -> int:
    root, listing, target = positional[:3]
    check_backend(values.backend)
    lines, _ = find_images(listing)
    if values.shuffle:
        log("Shuffling data", "convert_imageset.cpp:86")
        random.shuffle(lines)
    log(f"A total of {len(lines)} images.", "convert_imageset.cpp:89")
    encoded = _encoding(values)
    size = (max(0, values.resize_height), max(0, values.resize_width))
    images = ImageSet(lines, root, values.gray, size if all(size) else None, encoded, values.check_size)
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
