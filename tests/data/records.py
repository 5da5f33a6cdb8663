"""Records of pixels, databases of them, and what was read."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
from PIL import Image

from keras_caffe import proto

SIDE = 40


def datum(label: int, shape: tuple[int, int, int] = (3, 8, 9), **fields: Any) -> bytes:
    """A record whose pixels depend on its label."""
    pixels = np.random.default_rng(label).integers(0, 256, shape, dtype=np.uint8).tobytes()
    sizes = dict(zip(("channels", "height", "width"), shape, strict=True))
    return proto.Datum(**{**sizes, "data": pixels, "label": label, **fields}).SerializeToString()


def encoded(kind: str, width: int = 12, height: int = 7, **options: object) -> bytes:
    """An image file of a kind that Pillow writes: "png", "jpeg", "gif"."""
    file = io.BytesIO()
    Image.fromarray(np.arange(width * height * 3, dtype=np.uint8).reshape(height, width, 3)).save(file, kind, **options)
    return file.getvalue()


def annotated(number: int, boxes: list[tuple[int, int, int, int]]) -> bytes:
    """A black image with a white block below each box (x1, y1, x2, y2 in pixels)."""
    pixels = np.zeros((3, SIDE, SIDE), np.uint8)
    message = proto.AnnotatedDatum(type=0)
    for instance, (x1, y1, x2, y2) in enumerate(boxes):
        pixels[:, y1:y2, x1:x2] = 255
        corners = dict(zip(("xmin", "ymin", "xmax", "ymax"), np.array([x1, y1, x2, y2]) / SIDE, strict=True))
        group = message.annotation_group.add(group_label=number + 1)
        group.annotation.add(instance_id=instance, bbox={**corners, "difficult": instance == 1})
    message.datum.CopyFrom(proto.Datum(channels=3, height=SIDE, width=SIDE, data=pixels.tobytes(), label=-1))
    return message.SerializeToString()


def write_lmdb(path: Path, records: Mapping[bytes, bytes] | int) -> Path:
    """An LMDB of these records, or of so many Datums with labels 0, 1, ..."""
    if isinstance(records, int):
        records = {b"%08d" % label: datum(label) for label in range(records)}
    with lmdb.open(str(path), map_size=1 << 24) as env, env.begin(write=True) as transaction:
        for key, value in records.items():
            transaction.put(key, value)
    (path / "lock.mdb").unlink()
    return path


def labels(batches: Any) -> list[int]:
    """The labels of batches, one after the other."""
    return [int(label) for batch in batches for label in np.ravel(batch["label"])]
