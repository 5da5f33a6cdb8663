"""Sources of images and maps of their labels, which are cropped and mirrored together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_caffe.converters.resize import resize
from keras_caffe.data import images
from keras_caffe.data.augment import Placement
from keras_caffe.data.database import empty
from keras_caffe.data.sources.base import Delivery, Settings
from keras_caffe.data.sources.image_data import ImageData, Line, read_text
from keras_caffe.data.sources.image_source import Record
from keras_caffe.errors import DataError
from keras_caffe.registry import registered
from keras_caffe.shapes import Shape


class Labels(NamedTuple):
    """What belongs to an image: the map of its labels, (1, H, W), and its size before it was scaled or padded."""

    map: np.ndarray
    size: tuple[int, int]


class LabelMaps(ImageData):
    """Images, maps of labels and, if there is a third top, the images' heights and widths.

    A class says what a map holds (`labels`), and what is done to an image and its map before they are cropped
    (`prepared`).
    """

    maps_resized: Callable[..., np.ndarray] = staticmethod(resize)

    def __init__(self, layer: Any, settings: Settings) -> None:
        registered()[layer.type].check(layer)
        super().__init__(layer, settings)

    @property
    def delivery(self) -> Delivery:
        return Delivery(gaps=self.settings.skip)  # `read` transforms images together with their maps

    def listed(self, path: Path) -> list[Line]:
        return read_pairs(path)

    def shapes(self) -> list[Shape]:
        image = super().shapes()[0]
        return [image, (None, 1, *image[2:]), (None, 1, 1, 2)][: len(self.tops)]

    def record(self, entry: Line) -> Record:
        image = self.decoded(self.content(entry.name), self.channels)
        labels = self.labels(entry, image)
        if labels.shape[:2] != image.shape[:2]:
            raise DataError("the map of labels has another size", expected=image.shape[:2], received=labels.shape[:2])
        size = image.shape[:2]
        image, labels = self.prepared(entry, image, labels)
        return Record(entry.where, Labels(labels.transpose(2, 0, 1), size), image.transpose(2, 0, 1))

    def pixels(self, record: Record) -> np.ndarray:
        return record.pixels(self.channels)

    def labels(self, entry: Line, image: np.ndarray) -> np.ndarray:
        """The map (H, W, 1) of an image (H, W, C)."""
        return self.decoded(self.content(entry.label), images.GRAY, self.maps_resized)

    def prepared(self, entry: Line, image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The image and the map as they are cropped."""
        return image, labels

    def read(self, numbers: np.ndarray) -> list[np.ndarray]:
        numbers, records, pixels = self._batch(numbers)
        if not pixels:
            return [np.zeros([size or 0 for size in shape], np.float32) for shape in self.stored_shapes()]
        out, planes = self._buffer(len(pixels), self.augment.size(pixels[0].shape))
        placements = self.augment.placements(numbers, [image.shape for image in pixels])
        for image, placement, target in zip(pixels, placements, planes, strict=True):
            self.write(image, placement, target)
        labels = [record.label for record in records]
        maps = [self.augment.window(one.map, placement) for one, placement in zip(labels, placements, strict=True)]
        sizes = np.minimum([one.size for one in labels], planes.shape[2:]).reshape(-1, 1, 1, 2)
        return [out, self.stored(np.stack(maps)), self.stored(sizes)][: len(self.tops)]

    def write(self, image: np.ndarray, placement: Placement, target: np.ndarray) -> None:
        """Writes an image, transformed, into its place in the batch."""
        self.augment.apply(image, placement, target)


def read_pairs(path: Path, words: int = 2) -> list[Line]:
    """The lines `image map` of a list: so many words, of which the forks take no more than they need.

    Raises:
        DataError: the file is empty, or a line has fewer words.
    """
    lines = [(line.split(), f"{path}:{number}") for number, line in enumerate(read_text(path), 1) if line.strip()]
    if not lines:
        raise empty(str(path))
    for found, where in lines:
        if len(found) < words:
            expected = "the name of an image, a space, and its label or the name of its map"
            raise DataError("the line has no label", where=where, expected=expected, received=" ".join(found))
    return [Line(found[0], "".join(found[1:words]), where) for found, where in lines]
