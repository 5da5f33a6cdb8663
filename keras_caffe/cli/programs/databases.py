"""Caffe's programs about sets of images: convert_imageset.cpp, compute_image_mean.cpp; SSD's convert_annoset.cpp
and get_image_size.cpp."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from keras_caffe.cli.programs.glog import ERROR, log
from keras_caffe.cli.programs.usage import Values
from keras_caffe.converters.write import replacing
from keras_caffe.data import images
from keras_caffe.data.annotated_set import AnnotatedSet, read_label_map
from keras_caffe.data.imageset import BY_NAME, KINDS, ImageSet, find_images
from keras_caffe.data.sources.image_data import Line, read_file
from keras_caffe.data.sources.label_maps import read_pairs
from keras_caffe.data.statistics import mean_image, open_any, records, write_mean
from keras_caffe.data.writers import write
from keras_caffe.errors import CaffeError


def convert(values: Values, positional: Sequence[str]) -> int:
    lines, _ = find_images(positional[1])
    return _convert(values, positional, lines, "convert_imageset.cpp", ImageSet, (0, 0))


def annotate(values: Values, positional: Sequence[str]) -> int:
    """SSD's tools/convert_annoset.cpp."""
    place, sides = "convert_annoset.cpp", (max(0, values.min_dim), max(0, values.max_dim))
    if values.anno_type not in ("classification", "detection"):
        raise CaffeError("no such anno_type", expected="classification or detection", received=values.anno_type)
    if values.anno_type == "classification":
        lines, _ = find_images(positional[1])
        return _convert(values, positional, lines, place, AnnotatedSet, sides)
    lines = read_pairs(Path(positional[1]))
    labels = read_label_map(values.label_map_file, values.check_label)

    def with_boxes(lines: list[Line], *settings: Any) -> AnnotatedSet:
        pictures = AnnotatedSet([line._replace(label=-1) for line in lines], *settings)
        annotations = [line.label for line in lines]
        return replace(pictures, annotations=annotations, label_type=values.label_type, labels=labels)

    return _convert(values, positional, lines, place, with_boxes, sides)


def _convert(
    values: Values,
    positional: Sequence[str],
    lines: list[Line],
    place: str,
    made: Callable[..., ImageSet],
    sides: tuple[int, int],
) -> int:
    root, _, target = positional[:3]
    check_backend(values.backend)
    if values.shuffle:
        log("Shuffling data", f"{place}:86")
        random.shuffle(lines)
    log(f"A total of {len(lines)} images.", f"{place}:89")
    encoded = _encoding(values, place)
    size = (max(0, values.resize_height), max(0, values.resize_width))
    guessed_by_ssd = made is not ImageSet and encoded == BY_NAME  # whose program compares ".jpg" with "jpg"
    kept = _never if any((*size, *sides)) or guessed_by_ssd else _is_named_so
    pictures = made(lines, root, values.gray, size if all(size) else None, encoded, values.check_size, sides, kept)
    count = write(target, pictures.records(lambda error: log(str(error), "io.cpp:80", ERROR)), values.backend)
    log(f"Processed {count} files.", f"{place}:153")
    return 0


def _never(name: str, kind: str) -> bool:
    return False


def _is_named_so(name: str, kind: str) -> bool:
    """Whether Caffe stores a file as it is, which is so with --gray, too."""
    ending = Path(name).suffix.lower()
    return ending == f".{kind}" or (kind, ending) == ("jpg", ".jpeg")


def _encoding(values: Values, place: str) -> str:
    if not values.encode_type:
        return BY_NAME if values.encoded else ""
    if not values.encoded:
        log("encode_type specified, assuming encoded=true.", f"{place}:92")
    kind = values.encode_type.lower()
    if kind not in KINDS:
        raise CaffeError("no such encode_type", expected=" or ".join(KINDS), received=values.encode_type)
    return kind


def sizes(values: Values, positional: Sequence[str]) -> int:
    """SSD's tools/get_image_size.cpp: a line `name height width` for each image of a list."""
    root, source, target = positional[:3]
    lines = read_pairs(Path(source))
    log(f"A total of {len(lines)} images.", "get_image_size.cpp:57")
    numbers = _numbers(values.name_id_file, len(lines)) if values.name_id_file else {}
    found = []
    for line in lines:
        image = Path(root) / line.name
        height, width = images.decode(read_file(image), images.GRAY).shape[:2]
        if numbers and image.stem not in numbers:
            expected = f"a line `{image.stem} NUMBER`"
            raise CaffeError(f"the list of numbers has no {image.stem}", where=values.name_id_file, expected=expected)
        found.append(f"{numbers.get(image.stem, image.stem)} {height} {width}\n")
    with replacing(target) as temporary:
        temporary.write_text("".join(found), "utf-8", "surrogateescape")
    log(f"Processed {len(found)} files.", "get_image_size.cpp:113")
    return 0


def _numbers(path: str, count: int) -> dict[str, str]:
    """{name of an image: its number} of a file with a line for each image."""
    lines = read_pairs(Path(path))
    numbers = {line.name: str(line.label) for line in lines}
    if not len(numbers) == len(lines) == count:
        expected = f"one line `name number` for each of the {count} images"
        raise CaffeError("the names are not those of the list", where=path, expected=expected, received=len(lines))
    return numbers


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
