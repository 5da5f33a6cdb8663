"""Sources of images with labels: records become pixels, pixels become a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np

from keras_caffe.converters.read import read_mean
from keras_caffe.data import augment, images
from keras_caffe.data.augment import Augment
from keras_caffe.data.buffers import Buffers
from keras_caffe.data.datum import Buffer
from keras_caffe.data.sources.base import Delivery, Settings, Source
from keras_caffe.errors import CaffeError, DataError
from keras_caffe.layers.records import check_transform, positive
from keras_caffe.ops.window import in_one_pass
from keras_caffe.shapes import Shape

T = TypeVar("T")

GIVE_UP = 10_000  # records in a row that cannot be read
MOST_SKIPPED = 10_000  # errors that are kept


class Record(NamedTuple):
    """An image, compressed or not, its label, and where it is, for errors."""

    where: str
    label: Any
    image: np.ndarray | None = None  # (C, H, W)
    data: Buffer = b""

    def pixels(self, channels: int) -> np.ndarray:
        """(C, H, W); compressed ones with 1 or 3 channels, or 0 for what the file has."""
        return images.decode(self.data, channels).transpose(2, 0, 1) if self.image is None else self.image


class ImageSource(Source):
    """A data layer whose tops are images and, if there is a second one, labels.

    A class says where its records come from: `entries` and `record`.
    """

    param = "data_param"
    tops_most = 2
    tops_fewest = 1

    def __init__(self, layer: Any, settings: Settings) -> None:
        super().__init__(layer, settings)
        self.check_tops(self.tops_fewest, self.tops_most)
        check_transform(layer.transform_param)
        self.batch_size: int = positive(getattr(layer, self.param), "batch_size", self.param)
        self.augment: Augment = augment.from_layer(layer, self._mean(), settings.train, settings.seed)
        self.buffers: Buffers = Buffers()
        self._bad_in_a_row = 0

    @property
    def channels(self) -> int:
        """What compressed images are decoded to."""
        param = self.layer.transform_param
        return images.COLOR if param.force_color else images.GRAY if param.force_gray else images.NATIVE

    def entries(self, numbers: Sequence[int] | np.ndarray) -> list[Any]:
        """What the source holds under these running numbers, as `record` takes it; each has `where`."""
        raise NotImplementedError

    def record(self, entry: Any) -> Record:
        """The record of an entry.

        Raises:
            DataError: it is none.
        """
        raise NotImplementedError

    def pixels(self, record: Record) -> np.ndarray:
        """A record's image before it is transformed: (C, H, W), uint8 or float32."""
        return record.pixels(self.channels)

    @cached_property
    def first(self) -> tuple[Record, np.ndarray]:
        """The first record that can be read, and its image."""
        pairs = (self._loaded(self.entries([number])[0]) for number in range(GIVE_UP))
        try:
            return next(loaded for loaded in pairs if loaded is not None)
        finally:
            self.skipped.clear()  # they are counted when they are read for a batch

    @cached_property
    def first_shape(self) -> tuple[int, ...]:
        """(C, H, W) of the first record's image before it is transformed."""
        return self.first[1].shape

    def shapes(self) -> list[Shape]:
        channels, height, width = self.augment.size(self.first_shape)
        size = (height, width) if self.augment.crop or self.batch_size > 1 or self.resized else (None, None)
        return [(None, channels, *size), (None,)][: len(self.tops)]

    @property
    def resized(self) -> bool:
        """Whether images are brought to one size before they are cropped."""
        return False

    @cached_property
    def delivery(self) -> Delivery:
        if self.settings.skip:
            return Delivery(gaps=True)
        record, image = self.first
        uniform = None not in self.shapes()[0][1:] and image.dtype == np.uint8 and self.augment.one_mean
        if bytes(record.data[:2]) == images.JPEG and not self.resized:
            return Delivery("jpegs" if uniform else "varied jpegs")
        return Delivery("windows" if uniform and not in_one_pass() else "tops")

    def read(self, numbers: np.ndarray) -> list[np.ndarray]:
        numbers, records, pixels = self._batch(numbers)
        if not pixels:
            return [np.zeros([size or 0 for size in shape], np.float32) for shape in self.stored_shapes()]
        return self.transformed(numbers, pixels, [i.shape for i in pixels], [record.label for record in records])

    def windows(self, numbers: np.ndarray) -> list[np.ndarray]:
        """What is kept of 8-bit images, (N, C, h, w), whether each is mirrored, and the labels."""
        numbers, records, pixels = self._batch(numbers)
        windows = self.buffers.take((len(pixels), *self.augment.size(pixels[0].shape)), np.uint8)
        placements = self.augment.placements(numbers, [image.shape for image in pixels])
        for record, image, placement, target in zip(records, pixels, placements, windows, strict=True):
            if image.dtype != np.uint8:
                raise DataError("numbers lie between records of 8 bits", where=record.where, received=image.dtype)
            target[...] = self.augment.cropped(image, placement)
        labels = np.array([record.label for record in records], np.float32)
        return [windows, np.array([placement.mirror for placement in placements]), labels]

    def _batch(self, numbers: np.ndarray) -> tuple[np.ndarray, list[Record], list[np.ndarray]]:
        """The records that can be read, with their numbers and images, which give tops of one size."""
        loaded = [(number, self._loaded(entry)) for number, entry in zip(numbers, self.entries(numbers), strict=True)]
        readable = [(number, *pair) for number, pair in loaded if pair is not None]
        for _, record, image in readable:
            self.check_size(record.where, self.augment.size(image.shape))
        return np.array([n for n, _, _ in readable], np.int64), [r for _, r, _ in readable], [i for _, _, i in readable]

    def transformed(
        self,
        numbers: np.ndarray,
        pixels: Sequence[np.ndarray] | np.ndarray,
        shapes: Sequence[tuple[int, ...]],
        labels: Sequence[Any] | np.ndarray,
    ) -> list[np.ndarray]:
        """The tops for images, whole or cropped already; `shapes` are those of the whole images."""
        for shape in set(shapes):
            self.augment.check(shape)
        out, planes = self._buffer(len(pixels), self.augment.size(pixels[0].shape))
        for image, placement, target in zip(pixels, self.augment.placements(numbers, shapes), planes, strict=True):
            self.augment.apply(image, placement, target)
        return [out, np.array(labels, np.float32)][: len(self.tops)]

    def check_size(self, where: str, size: tuple[int, ...]) -> None:
        """Refuses an image whose top would have other channels than the first or, in a batch of several, another size.

        Raises:
            DataError: it has.
        """
        channels, *first = self.augment.size(self.first_shape)
        expected = (channels, *(first if self.batch_size > 1 else size[1:]))
        if size != expected:
            fix = "Set crop_size, resize them, or take batch_size: 1."
            raise DataError(
                "the images differ in size",
                where=where,
                expected=f"{expected}, as the first",
                received=size,
                fix=fix if size[0] == channels else "Set force_color or force_gray, if they are encoded.",
            )

    def record_at(self, entry: Any) -> Record:
        """`record`, with the entry's place in its errors."""
        try:
            return self.record(entry)
        except CaffeError as error:
            raise error.at(where=entry.where) from None

    def _buffer(self, count: int, size: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Memory for a batch as it is stored, and a view of it as (N, C, H, W)."""
        channels, height, width = size
        if self.settings.data_format == "channels_last":
            out = self.buffers.take((count, height, width, channels))
            return out, out.transpose(0, 3, 1, 2)
        out = self.buffers.take((count, channels, height, width))
        return out, out

    def _loaded(self, entry: Any) -> tuple[Record, np.ndarray] | None:
        """The record of an entry and its image."""

        def load() -> tuple[Record, np.ndarray]:
            record = self.record(entry)
            image = self.pixels(record)
            self.augment.check(image.shape)
            return record, image

        return self.if_readable(entry, load)

    def if_readable(self, entry: Any, load: Callable[[], T]) -> T | None:
        """What `load` makes of an entry; None if it cannot be read and such are left out."""
        try:
            loaded = load()
        except CaffeError as error:
            error.at(where=entry.where)
            if not self.settings.skip:
                raise
            self._leave_out(error)
            return None
        self._bad_in_a_row = 0
        return loaded

    def _leave_out(self, error: CaffeError) -> None:
        # An endless stream meets a bad record in every pass: it keeps neither all errors nor what their frames hold.
        error.__traceback__ = error.__context__ = error.__cause__ = None
        self.skipped.append(error)
        del self.skipped[:-MOST_SKIPPED]
        self._bad_in_a_row += 1
        if self._bad_in_a_row >= GIVE_UP:
            raise DataError("no record can be read", where=error.where, received=str(error))

    def _mean(self) -> np.ndarray | None:
        param = self.layer.transform_param
        if not param.HasField("mean_file"):
            return None
        return read_mean(self.settings.places.need(param.mean_file, "mean_file"))
