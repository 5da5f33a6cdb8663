"""Records of databases and compressed images."""

from __future__ import annotations

import contextlib
import functools
import re
import zlib
from collections.abc import Iterable
from random import Random
from typing import Any
from unittest import mock

import numpy as np

from keras_caffe import proto
from keras_caffe.converters.read import read_net
from keras_caffe.data import image_size, images
from keras_caffe.data.database import Entry
from keras_caffe.data.datum import parse
from keras_caffe.data.sources.annotated_data import AnnotatedData
from keras_caffe.data.sources.base import Settings
from keras_caffe.data.sources.data import from_datum
from keras_caffe.errors import CaffeError
from keras_caffe.lmdb_file import LmdbFile
from scripts.fuzzing.mutations import blocks, places_of, several, wire, words
from scripts.fuzzing.seeds import GOLDENS, files
from scripts.fuzzing.target import Target

MOST = 12  # records of a database
SMALL = mock.patch.object(image_size, "MOST_PIXELS", 1 << 22)  # so many take no second
LAYER = """layer {{ name: "d" type: "AnnotatedData" top: "data" top: "label"
  data_param {{ source: "{}" batch_size: 1 backend: LMDB }}
  transform_param {{ mirror: true crop_size: 3 resize_param {{ height: 6 width: 5 }}
    emit_constraint {{ emit_type: CENTER }}
    distort_param {{ brightness_prob: 1 brightness_delta: 9 hue_prob: 1 hue_delta: 9 }}
    expand_param {{ prob: 1 max_expand_ratio: 2 }} }}
  annotated_data_param {{ batch_sampler {{ max_sample: 1 max_trials: 5 sampler {{ min_scale: 0.3 }} }} }} }}"""


@SMALL
def datum(data: bytes) -> None:
    from_datum("record", parse(data)).pixels(images.NATIVE)


class OneRecord(AnnotatedData):
    """The layer, with a record in place of its database's."""

    data = b""

    def entries(self, numbers: Any) -> list[Entry]:
        return [Entry("record", self.data) for _ in numbers]


@SMALL
def annotated(data: bytes) -> None:
    layer = _annotated()
    layer.data = data
    layer.read(np.array([3]))


@SMALL
def image(data: bytes) -> None:
    for decode in (images.decode_wide, images.decode, functools.partial(images.decode, channels=images.GRAY)):
        with contextlib.suppress(CaffeError):
            decode(data)


@functools.cache
def _annotated() -> OneRecord:
    source = GOLDENS / "data" / "src" / "rgb_lmdb"
    return OneRecord(read_net(LAYER.format(source)).message.layer[0], Settings(train=True))


def datums() -> Iterable[bytes]:
    for database in sorted((GOLDENS / "data" / "src").glob("*_lmdb")):
        for _, (_, value) in zip(range(MOST), LmdbFile(database).items(), strict=False):
            yield bytes(value)


def annotated_datums() -> Iterable[bytes]:
    for number, content in enumerate(datums()):
        message = proto.AnnotatedDatum(type=0, datum=proto.Datum.FromString(content))
        group = message.annotation_group.add(group_label=number)
        group.annotation.add(
            instance_id=1, bbox={"xmin": 0.1, "ymin": 0.2, "xmax": 0.7, "ymax": 0.9, "difficult": True}
        )
        yield message.SerializeToString()


def pictures() -> Iterable[bytes]:
    yield b"GIF89a\2\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\2\0\1\0\0\2\2D\n\0;"
    yield _in_memory("BMP")
    yield _in_memory("TIFF")
    yield from files("*.png", "*.jpg", "*.jpeg", shared=False)


def _in_memory(kind: str) -> bytes:
    import io

    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (3, 2)).save(out, kind)
    return out.getvalue()


def header(random: Random, data: bytes) -> bytes:
    """Changes a number in a head of an image; the checksums of a PNG are made right."""
    heads = places_of(
        data, b"\xff\xc0", b"\xff\xc2", b"\xff\xc4", b"\xff\xda", b"\xff\xdb", b"IHDR", b"IDAT", b"BM", b"II*"
    )
    changed = words(random, data, [*heads, 0])
    return _with_checksums(changed) if changed.startswith(images.PNG) else changed


def _with_checksums(data: bytes) -> bytes:
    out = bytearray(data)
    for found in re.finditer(rb"IHDR|IDAT|PLTE|tRNS", data):
        length = int.from_bytes(data[found.start() - 4 : found.start()], "big")
        end = found.end() + length
        if end + 4 <= len(data):
            out[end : end + 4] = zlib.crc32(data[found.start() : end]).to_bytes(4, "big")
    return bytes(out)


TARGETS = {
    "datum": Target(datum, datums, several(wire, wire, words, blocks, header)),
    "annotated_data": Target(annotated, annotated_datums, several(wire, wire, wire, words, blocks)),
    "images": Target(image, pictures, several(header, header, words, blocks)),
}
