"""Images of a folder or a list as the records of a database, as Caffe's convert_imageset makes them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_caffe import proto
from keras_caffe.converters.resize import resize, scale
from keras_caffe.data import images
from keras_caffe.data.sources.image_data import Line, read_file, read_list
from keras_caffe.errors import CaffeError, DataError, not_found

ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".gif"}
JPEG_QUALITY = 95  # OpenCV's
BY_NAME = "by name"
KINDS = {"jpg": "jpg", "jpeg": "jpg", "png": "png"}


@dataclass(frozen=True)
class ImageSet:
    """Images with labels.

    Args:
        lines: their names and labels.
        root: folder that the names start at; a text is put before the names as it is, as in Caffe.
        gray: keep one channel.
        size: (height, width) to resize to, or None.
        encoded: "" for raw pixels, "jpg" or "png" for compressed ones, BY_NAME for what each name's ending says. A file
            of that kind that is neither resized nor made grey is stored as it is.
        check_size: all must have the size of the first.
        sides: (least, most) pixels of an image's shorter and longer side, 0 for any: SSD's min_dim and max_dim. Where
            one is set, `size` does not count: an image beyond them is scaled in its proportions.
        kept: whether the file of a name that is to be encoded as a kind is stored as it is; default: as above.
    """

    lines: Sequence[Line]
    root: Path | str = Path()
    gray: bool = False
    size: tuple[int, int] | None = None
    encoded: str = ""
    check_size: bool = False
    sides: tuple[int, int] = (0, 0)
    kept: Callable[[str, str], bool] | None = None

    def __len__(self) -> int:
        return len(self.lines)

    def records(self, skipped: Callable[[CaffeError], None] | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Keys, `%08d_name`, and Datums.

        Args:
            skipped: called for each image that cannot be read, which is then left out; default: that is an error.

        Raises:
            DataError: an image cannot be read, or has another size than the first where that is checked.
        """
        first = None
        for number, line in enumerate(self.lines):
            try:
                datum, shape = self.datum(line)
            except CaffeError as error:
                if skipped is None:
                    raise error.at(where=line.where) from None
                skipped(error.at(where=line.where))
                continue
            first = first or shape
            if self.check_size and shape != first:
                raise DataError("the image has another size", where=line.where, expected=first, received=shape)
            record = self.record(number, datum, shape)
            yield f"{number:08d}_{line.name}".encode(errors="surrogateescape"), record.SerializeToString()

    def record(self, number: int, datum: Any, shape: tuple[int, ...]) -> Any:
        """What is stored for the line of this number, whose Datum and image's (height, width, channels) these are."""
        return datum

    def datum(self, line: Line) -> tuple[Any, tuple[int, ...]]:
        """The Datum of one image, and the image's (height, width, channels)."""
        data = read_file(self.path(line.name))
        pixels = images.decode(data, images.GRAY if self.gray else images.COLOR)
        kind = _kind_of_name(line.name) if self.encoded == BY_NAME else self.encoded
        if kind and self._keeps(line.name, kind, data):
            return proto.Datum(data=data, label=line.label, encoded=True), pixels.shape
        pixels = self._resized(pixels)
        if kind:
            return proto.Datum(data=_encode(pixels, kind), label=line.label, encoded=True), pixels.shape
        sizes = dict(zip(("height", "width", "channels"), pixels.shape, strict=True))
        planes = np.ascontiguousarray(pixels.transpose(2, 0, 1)).tobytes()
        return proto.Datum(**sizes, data=planes, label=line.label, encoded=False), pixels.shape

    def _keeps(self, name: str, kind: str, data: bytes) -> bool:
        if self.kept is not None:
            return self.kept(name, kind)
        return not self.gray and not self.resizes and _kind(data) == KINDS.get(kind)

    @property
    def resizes(self) -> bool:
        """Whether the images may get another size."""
        return self.size is not None or any(self.sides)

    def _resized(self, pixels: np.ndarray) -> np.ndarray:
        least, most = self.sides
        if not any(self.sides):
            return resize(pixels, *self.size) if self.size else pixels
        shorter, longer = sorted(pixels.shape[:2])
        factor = np.float32(1)
        if least > shorter:
            factor = np.float32(least) / np.float32(shorter)
        if 0 < most < int(factor * np.float32(longer)):
            factor = np.float32(most) / np.float32(longer)
        if round(shorter * float(factor)) == 0:
            received = f"{pixels.shape[0]} x {pixels.shape[1]} pixels"
            raise DataError("max_dim leaves nothing of an image's shorter side", received=received, fix="Raise it.")
        return pixels if factor == 1 else scale(pixels, float(factor))

    def path(self, name: str) -> Path:
        """The file of this name."""
        return self.root / name if isinstance(self.root, Path) else Path(self.root + name)


def find_images(source: str | os.PathLike[str]) -> tuple[list[Line], list[str]]:
    """The images of a list, or of a folder with a folder for each class; and the names of the classes.

    Classes are numbered in the order of their names, from 0. A list gives no names.

    Raises:
        DataError: there are none.
    """
    path = Path(source)
    if path.is_file():
        return read_list(path), []
    classes = sorted(folder.name for folder in path.iterdir() if folder.is_dir()) if path.is_dir() else []
    lines = [
        Line(f"{name}/{file.name}", label, str(file))
        for label, name in enumerate(classes)
        for file in sorted((path / name).iterdir())
        if file.suffix.lower() in ENDINGS
    ]
    if not lines:
        raise DataError(
            "no images were found",
            where=str(path),
            expected="a list of names and labels, or a folder with a folder of images for each class",
            received=None if path.exists() else "no file or folder of this name",
            cause=None if path.exists() else not_found(path),
        )
    return lines, classes


def _kind_of_name(name: str) -> str:
    ending = Path(name).suffix.lower().removeprefix(".")
    if not ending:
        raise DataError("the name does not tell how to encode the image", expected=".jpg or .png", received=name)
    return ending


def _kind(data: bytes) -> str:
    return "jpg" if data.startswith(images.JPEG) else "png" if data.startswith(images.PNG) else ""


def _encode(pixels: np.ndarray, kind: str) -> bytes:
    if kind not in KINDS:
        raise DataError("the name does not tell how to encode the image", expected=".jpg or .png", received=f".{kind}")
    red_first = np.ascontiguousarray(pixels[..., ::-1])
    jpeg = KINDS[kind] == "jpg"
    return (tf.io.encode_jpeg(red_first, quality=JPEG_QUALITY) if jpeg else tf.io.encode_png(red_first)).numpy()
