"""WindowData: windows of images for R-CNN (src/caffe/layers/window_data_layer.cpp)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_caffe.converters.resize import resize
from keras_caffe.data import images
from keras_caffe.data.draws import draws
from keras_caffe.data.sources.base import Delivery, Settings
from keras_caffe.data.sources.image_data import read_file, read_text
from keras_caffe.data.sources.image_source import ImageSource
from keras_caffe.data.sources.window import Warp, warp
from keras_caffe.errors import DataError, LayerError
from keras_caffe.layers.records import positive
from keras_caffe.shapes import INT_MAX, Shape

MODES = ("warp", "square")


class Window(NamedTuple):
    """One line of a window file: the image's path, the class, the overlap, and the corners, both inside."""

    image: str
    label: int
    overlap: float
    box: tuple[int, int, int, int]
    where: str


class WindowData(ImageSource):
    """Background windows, then foreground windows, drawn with replacement; there is no epoch.

    A window with context around it is warped to crop_size x crop_size; what lies outside the image is 0 after the mean
    was subtracted. scale is that of window_data_param; transform_param's is ignored.
    """

    param = "window_data_param"
    tops_fewest = 2

    def __init__(self, layer: Any, settings: Settings) -> None:
        super().__init__(layer, settings)
        self.crop: int = positive(layer.transform_param, "crop_size", "transform_param")
        param = layer.window_data_param
        if param.crop_mode not in MODES:
            raise LayerError("no such crop_mode", expected=" or ".join(MODES), received=repr(param.crop_mode))
        if 2 * param.context_pad >= self.crop:
            raise LayerError(
                "context_pad leaves nothing of crop_size", expected=f"< {self.crop / 2}", received=param.context_pad
            )
        windows = list(read_windows(settings.places.need(param.source, "window file")))
        fg = [window for window in windows if window.overlap >= param.fg_threshold]
        bg = [w._replace(label=0) for w in windows if w.overlap < min(param.bg_threshold, param.fg_threshold)]
        for window in fg:
            if window.label <= 0:
                raise DataError(
                    "a foreground window has no class", where=window.where, expected="> 0", received=window.label
                )
        self.foreground: int = int(self.batch_size * np.float32(param.fg_fraction))
        self.pools: list[list[Window]] = [bg, fg]
        self._check_pools()
        self.image: Callable[[str, str], np.ndarray] = lru_cache(maxsize=None if param.cache_images else 8)(
            self._image_file
        )

    @property
    def size(self) -> None:
        return None

    @property
    def delivery(self) -> Delivery:
        return Delivery()  # `read` warps the windows

    def shapes(self) -> list[Shape]:
        return [(None, 3, self.crop, self.crop), (None,)]

    def read(self, numbers: np.ndarray) -> list[np.ndarray]:
        random = draws(self.settings.seed, numbers, 2)
        places = np.arange(len(numbers)) % self.batch_size
        kinds = (places >= self.batch_size - self.foreground).astype(int)
        chosen = [
            self.pools[kind][draw % len(self.pools[kind])] for kind, draw in zip(kinds, random[:, 0], strict=True)
        ]
        out, planes = self._buffer(len(numbers), (3, self.crop, self.crop))
        out[...] = 0
        for window, draw, target in zip(chosen, random[:, 1], planes, strict=True):
            self._write(window, self.augment.mirror and bool(draw & 1), target)
        return [out, np.array([window.label for window in chosen], np.float32)]

    def _write(self, window: Window, mirror: bool, target: np.ndarray) -> None:
        param = self.layer.window_data_param
        image = self.image(window.image, window.where)
        try:
            place = warp(window.box, image.shape[:2], self.crop, param.context_pad, param.crop_mode == "square", mirror)
        except DataError as error:
            raise error.at(where=window.where) from None
        pixels = resize(image[place.rows, place.columns], place.height, place.width)
        pixels = pixels[:, ::-1] if mirror else pixels
        values = pixels.transpose(2, 0, 1).astype(np.float32)
        mean = self._mean_at(place)
        values = values if mean is None else values - mean
        rows, columns = slice(place.top, place.top + place.height), slice(place.left, place.left + place.width)
        target[:, rows, columns] = values * np.float32(param.scale)

    def _mean_at(self, place: Warp) -> np.ndarray | None:
        """The mean below the warped window: of a mean image its centre, which is not mirrored."""
        mean = self.augment.mean
        if mean is None or mean.shape[1:] == (1, 1):
            return mean
        top = (mean.shape[2] - self.crop) // 2  # Caffe takes the width's for both
        rows = slice(top + place.top, top + place.top + place.height)
        return mean[:, rows, top + place.left : top + place.left + place.width]

    def _image_file(self, name: str, where: str) -> np.ndarray:
        path = self.settings.places.find(self.layer.window_data_param.root_folder + name)
        try:
            return images.decode(read_file(path), images.COLOR)
        except DataError as error:
            raise error.at(where=where) from None

    def _check_pools(self) -> None:
        for pool, count, kind in zip(
            self.pools, (self.batch_size - self.foreground, self.foreground), ("background", "foreground"), strict=True
        ):
            if count and not pool:
                raise DataError(
                    f"there is no {kind} window",
                    where=self.layer.window_data_param.source,
                    expected=f"{count} in a batch",
                )


def read_windows(path: Path) -> Iterator[Window]:
    """The windows of a window file: `# index`, image, channels, height, width, count, then the windows' lines.

    Raises:
        DataError: it is of another form.
    """
    lines = [(f"{path}:{number}", line.split()) for number, line in enumerate(read_text(path), 1) if line.strip()]
    words = [(where, word) for where, line in lines for word in line]
    position = 0
    while position < len(words):
        head = words[position : position + 7]
        where = head[0][0]
        if len(head) < 7 or head[0][1] != "#":
            raise _no_window(
                where, "`# index`, an image, its channels, height and width, and the number of windows", head
            )
        count, position = _number(head[6], int), position + 7
        for _ in range(count):
            yield _window(head[2][1], words[position : position + 6], where)
            position += 6


def _window(image: str, words: Sequence[tuple[str, str]], where: str) -> Window:
    if len(words) < 6:
        raise _no_window(words[0][0] if words else where, "class, overlap, x1, y1, x2, y2", words)
    label, overlap, *box = (_number(word, float if i == 1 else int) for i, word in enumerate(words))
    return Window(image, label, overlap, tuple(box), words[0][0])


def _number(word: tuple[str, str], kind: type) -> Any:
    try:
        number = kind(word[1])
    except ValueError:
        raise _no_window(word[0], "a number", [word]) from None
    if kind is int and abs(number) > INT_MAX:
        raise _no_window(word[0], "a number of 32 bits", [word])
    return number


def _no_window(where: str, expected: str, words: Sequence[tuple[str, str]]) -> DataError:
    received = " ".join(word for _, word in words) or "the end of the file"
    return DataError("the window file has another format", where=where, expected=expected, received=received)
