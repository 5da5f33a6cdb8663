"""ImageData: image files named in a list (src/caffe/layers/image_data_layer.cpp)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_caffe.converters.resize import resize
from keras_caffe.data import images
from keras_caffe.data.database import empty
from keras_caffe.data.datum import Buffer
from keras_caffe.data.draws import draws, generator
from keras_caffe.data.sources.base import Settings
from keras_caffe.data.sources.image_source import ImageSource, Record
from keras_caffe.errors import DataError, not_found, unreadable
from keras_caffe.places import BASE_DIR

SKIP_DRAW = -1  # the number that rand_skip is drawn for; no record has it


class Line(NamedTuple):
    """One line of a list: the image's name, its label or the name of its map, where the line is; how it is scaled."""

    name: str
    label: Any
    where: str
    scale: float = 1.0


class ImageData(ImageSource):
    """The images of a list, in its order or, with `shuffle`, in a new order each epoch.

    Images are blue-green-red, or grey with is_color: false, and resized to new_height x new_width if these are set.
    With rand_skip the first ones, fewer than it says, are left out at the start.
    """

    param = "image_data_param"
    tops_fewest = 2
    fields: Any

    def __init__(self, layer: Any, settings: Settings) -> None:
        super().__init__(layer, settings)
        param = self.fields = getattr(layer, self.param)
        if bool(param.new_height) != bool(param.new_width):
            raise DataError(
                "new_height and new_width must be set together", received=(param.new_height, param.new_width)
            )
        self.lines: list[Line] = self.listed(settings.places.need(param.source, "list of images"))
        self.start = (
            int(draws(settings.seed, np.array([SKIP_DRAW]), 1)[0, 0]) % param.rand_skip if param.rand_skip else 0
        )
        if self.start >= len(self.lines):
            raise DataError("rand_skip leaves no image", expected=f"less than {len(self.lines)}", received=self.start)
        self.order: Callable[[int], np.ndarray] = lru_cache(maxsize=2)(self._order)

    def listed(self, path: Path) -> list[Line]:
        """The lines of the list."""
        return read_list(path)

    @property
    def size(self) -> int:
        return len(self.lines)

    @property
    def channels(self) -> int:
        return images.COLOR if self.fields.is_color else images.GRAY

    @property
    def resized(self) -> bool:
        return self.fields.new_height > 0

    def entries(self, numbers: Sequence[int] | np.ndarray) -> list[Line]:
        epochs, places = np.divmod(np.asarray(numbers) + self.start, self.size)
        if not self.fields.shuffle:
            return [self.lines[place] for place in places]
        return [self.lines[self.order(int(epoch))[place]] for epoch, place in zip(epochs, places, strict=True)]

    def record(self, entry: Line) -> Record:
        return Record(entry.where, entry.label, None, self.content(entry.name))

    def content(self, name: str) -> bytes:
        """The bytes of a file that the list names."""
        return read_file(self.settings.places.find(self.fields.root_folder + name))

    def pixels(self, record: Record) -> np.ndarray:
        return self.decoded(record.data, self.channels).transpose(2, 0, 1)

    def decoded(self, data: Buffer, channels: int, resized: Callable[..., np.ndarray] = resize) -> np.ndarray:
        """An image (H, W, C), resized to new_height and new_width if these are set."""
        image = images.decode(data, channels)
        return resized(image, self.fields.new_height, self.fields.new_width) if self.resized else image

    def _order(self, epoch: int) -> np.ndarray:
        return generator(self.settings.seed, epoch).permutation(self.size)


def read_list(path: Path) -> list[Line]:
    """The lines `name label` of a list; names may hold spaces. A name alone has label 0, as in Caffe.

    Raises:
        DataError: the file is empty, or a line has no name, or no number as label.
    """
    text = read_text(path)
    lines = [_line(line, f"{path}:{number}") for number, line in enumerate(text, 1)]
    if not lines:
        raise empty(str(path))
    return lines


def read_text(path: Path) -> list[str]:
    """The lines of a text file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        lines = path.read_text(errors="surrogateescape").split("\n")
    except OSError as error:
        raise unreadable(path, error, DataError) from None
    return lines if lines[-1] else lines[:-1]


def read_file(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except (OSError, ValueError) as reason:  # the latter of a name with a zero byte
        error = reason if isinstance(reason, OSError) else not_found(path)
        raise DataError(
            f"the image {str(path)!r} cannot be read",
            received=error.strerror or error,
            fix=("Check root_folder, which is put before the names as it is.", BASE_DIR),
            cause=error,
        ) from None


def _line(line: str, where: str) -> Line:
    line = line.rstrip("\r")
    name, space, label = line.rpartition(" ") if " " in line else (line, "", line)
    number = re.match(r"\s*([+-]?\d+)", label)  # as C's atoi
    if not name or (space and label.strip() and number is None):
        raise DataError(
            "the line has no label",
            where=where,
            expected="a name, a space and a whole number",
            received=repr(line),
        )
    return Line(name, int(number[1]) if number else 0, where)
