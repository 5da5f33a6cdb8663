"""Caffe's programs that make and read databases of images: tools/convert_imageset.cpp, compute_image_mean.cpp."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from keras_caffe.cli.programs.glog import ERROR, log
from keras_caffe.cli.programs.usage import Values
from keras_caffe.data.annotated_set import AnnotatedSet, read_label_map
from keras_caffe.data.imageset import BY_NAME, ImageSet, find_images
from keras_caffe.data.sources.image_data import Line
from keras_caffe.data.sources.label_maps import read_pairs
from keras_caffe.data.statistics import mean_image, open_any, records, write_mean
from keras_caffe.data.writers import write
from keras_caffe.errors import CaffeError


def convert(values: Values, positional: Sequence[str]) -> int:
    lines, _ = find_images(positional[1])
    return _convert(values, positional, lines, "convert_imageset.cpp")


def annotate(values: Values, positional: Sequence[str]) -> int:
    """SSD's tools/convert_annoset.cpp."""
    if values.min_dim > 0 or values.max_dim > 0:
        raise CaffeError("min_dim and max_dim are not known here", fix="Resize the images first.")
    if values.anno_type not in ("classification", "detection"):
        raise CaffeError("no such anno_type", expected="classification or detection", received=values.anno_type)
    if values.anno_type == "classification":
        lines, _ = find_images(positional[1])
        return _convert(values, positional, lines, "convert_annoset.cpp", lambda images: AnnotatedSet(**vars(images)))
    lines = read_pairs(Path(positional[1]))
    labels = read_label_map(values.label_map_file, values.check_label)

    def with_boxes(images: ImageSet) -> AnnotatedSet:
        files = [line.label for line in images.lines]
        pictures = replace(images, lines=[line._replace(label=-1) for line in images.lines])
        return AnnotatedSet(**vars(pictures), annotations=files, label_type=values.label_type, labels=labels)

    return _convert(values, positional, lines, "convert_annoset.cpp", with_boxes)


def _convert(
    values: Values,
    positional: Sequence[str],
    lines: list[Line],
    place: str,
    made: Callable[[ImageSet], ImageSet] = lambda images: images,
) -> int:
    root, _, target = positional[:3]
    check_backend(values.backend)
    if values.shuffle:
        log("Shuffling data", f"{place}:86")
        random.shuffle(lines)
    log(f"A total of {len(lines)} images.", f"{place}:89")
    encoded = _encoding(values, place)
    size = (max(0, values.resize_height), max(0, values.resize_width))
    images = made(ImageSet(lines, root, values.gray, size if all(size) else None, encoded, values.check_size))
    count = write(target, images.records(lambda error: log(str(error), "io.cpp:80", ERROR)), values.backend)
    log(f"Processed {count} files.", f"{place}:153")
    return 0


def _encoding(values: Values, place: str) -> str:
    if not values.encode_type:
        return BY_NAME if values.encoded else ""
    if not values.encoded:
        log("encode_type specified, assuming encoded=true.", f"{place}:92")
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
