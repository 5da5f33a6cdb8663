"""Batches of JPEG records: TensorFlow decodes them in parallel, and only the windows that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf

from keras_caffe.data import images
from keras_caffe.data.sources.image_source import ImageSource
from keras_caffe.data.stream import AT_ONCE, Stream
from keras_caffe.errors import DataError

MARGIN = 2  # pixels; two chroma samples where chroma has half the size
BLOCK = 16  # pixels; the decoder is slower where what it keeps does not begin with a block

# What a row of numbers says of a record: what is decoded (top, left, height, width), where in that the window begins
# (top, left, first channel), its running number, the image's height and width, the label, whether it is mirrored, and
# whether it is a JPEG.
DECODED, BEGIN, NUMBER, SIZE, LABEL, MIRROR, IS_JPEG = slice(0, 4), slice(4, 7), 7, slice(8, 10), 10, 11, 12
FACTS = 13


class JpegStream(Stream):
    """The batches of a source whose first record is a JPEG.

    Where a window lies is known from the file's header, before it is decoded. Records that are no JPEGs are decoded as
    `Stream` does it, so that a database may hold both.
    """

    source: ImageSource
    pixels = True

    @staticmethod
    def suits(source: Any) -> bool:
        """Whether a source's records are JPEGs that need no more than a crop before the transformation."""
        if not isinstance(source, ImageSource) or source.settings.skip:
            return False
        if source.makes_own_windows or source.fixed_size:
            return False
        return bytes(source.first[0].data[:2]) == images.JPEG

    def dataset(self) -> tf.data.Dataset:
        at_once = AT_ONCE if self.batch > 1 else tf.data.AUTOTUNE
        return self._numbers().map(self._made, num_parallel_calls=at_once, deterministic=True)

    def _made(self, number: Any) -> tuple[Any, ...]:
        """A batch's tops. Its images are decoded by operations of one graph: a data set's element each costs more."""
        data, facts = tf.numpy_function(self._records, [number], [tf.string, tf.int64], stateful=False)
        data, facts = tf.ensure_shape(data, [self.batch]), tf.ensure_shape(facts, [self.batch, FACTS])
        windows = tf.stack(self._decoded(data, facts))
        if self.total is not None:  # the last batch may be filled up
            count = self.total - number * self.batch
            windows, facts = windows[:count], facts[:count]
        return self._finish(windows, facts)

    def _decoded(self, data: Any, facts: Any) -> list[Any]:
        """The windows of images that are kept, red-green-blue."""
        how = {"channels": self.source.channels, "dct_method": "INTEGER_ACCURATE"}
        if not self.source.augment.crop:
            return [tf.io.decode_jpeg(image, **how) for image in tf.unstack(data)]
        places = tf.unstack(tf.cast(facts[:, DECODED], tf.int32)), tf.unstack(facts[:, BEGIN])
        size = [*self.source.augment.crop, -1]
        return [
            tf.slice(tf.io.decode_and_crop_jpeg(image, place, **how), begin, size)
            for image, place, begin in zip(tf.unstack(data), *places, strict=True)
        ]

    def _finish(self, windows: Any, facts: Any) -> tuple[Any, ...]:
        kinds = [tf.float32] * len(self.source.tops)
        windows = tf.cond(
            tf.reduce_all(facts[:, IS_JPEG] > 0),
            lambda: windows,
            lambda: tf.numpy_function(self._with_others, [windows, facts], tf.uint8, stateful=False),
        )
        if not self.fused:
            return self._shaped(tf.numpy_function(self._transformed, [windows, facts], kinds, stateful=False))
        windows.set_shape([None, *self.source.augment.size(self.source.first_shape)[1:], self.source.first_shape[0]])
        return self._shaped(
            [self.fused.apply(windows, facts[:, MIRROR] > 0), tf.cast(facts[:, LABEL], tf.float32)],
        )

    def _records(self, batch: Any) -> list[np.ndarray]:
        """For each record of a batch: its bytes and facts. A last batch is filled up with black images."""
        with self.problems.kept(self.source, int(batch)):
            self.recent.append(int(batch))
            numbers = self.running_numbers(int(batch))
            records = [self.source.record_at(entry) for entry in self.source.entries(numbers)]
            known = [images.jpeg_size(record.data) for record in records]
            sizes = [size or self._size(number) for number, size in zip(numbers, known, strict=True)]
            plans = self.source.augment.plans(numbers, self._shapes(sizes))
        facts = np.zeros((self.batch, FACTS), np.int64)
        real = facts[: len(records)]
        real[:, NUMBER], real[:, SIZE] = numbers, sizes
        real[:, LABEL] = [record.label for record in records]
        real[:, MIRROR] = [plan.mirror for plan in plans]
        real[:, IS_JPEG] = [size is not None for size in known]
        real[:, : BEGIN.stop] = self._with_margins(np.array(plans)[:, 1:], real[:, SIZE])
        data = np.empty(self.batch, object)
        data[: len(records)] = [bytes(record.data) for record in records]
        for place in np.flatnonzero(facts[:, IS_JPEG] == 0):
            size = self.source.augment.crop or sizes[min(place, len(sizes) - 1)]
            data[place] = _black(*size, self.source.first_shape[0])
            facts[place, : BEGIN.stop] = 0, 0, *size, 0, 0, 0
        return [data, facts]

    def _with_margins(self, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """What is decoded of JPEGs: top, left, height, width, and where in that the windows begin.

        The decoder smooths colours across a window's edges only if it decodes a little more.
        """
        ends = np.minimum(sizes, starts + (self.source.augment.crop or sizes) + MARGIN)
        outer = np.maximum(0, starts - MARGIN)
        outer[:, 1] -= outer[:, 1] % BLOCK
        return np.concatenate([outer, ends - outer, starts - outer, np.zeros_like(starts[:, :1])], axis=1)

    def _size(self, number: int) -> tuple[int, ...]:
        """(height, width) of a record that is no JPEG."""
        image = self.source.image_at(number)
        if image.dtype != np.uint8 or image.shape[0] != self.source.first_shape[0]:
            expected = f"8 bits, {self.source.first_shape[0]} channels"
            raise DataError("the record differs from the first", expected=expected, received=f"record {number}")
        return image.shape[1:]

    def _shapes(self, sizes: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
        """The images' shapes, after they were checked."""
        shapes = [(self.source.first_shape[0], *map(int, size)) for size in sizes]
        for shape in set(shapes):
            self.source.augment.check(shape)
        return shapes

    def _with_others(self, windows: np.ndarray, facts: np.ndarray) -> np.ndarray:
        """The windows with those of records that are no JPEGs, for which black ones were decoded."""
        windows = windows.copy()
        for place in np.flatnonzero(facts[:, IS_JPEG] == 0):
            number = facts[place, NUMBER]
            image = self.source.image_at(int(number))
            plan = self.source.augment.plans(np.array([number]), [image.shape])[0]
            windows[place] = self.source.augment.cropped(image, plan).transpose(1, 2, 0)[..., ::-1]
        return windows

    def _transformed(self, windows: np.ndarray, facts: np.ndarray) -> list[np.ndarray]:
        planes = windows[..., ::-1].transpose(0, 3, 1, 2)
        return self.source.transformed(facts[:, NUMBER], planes, self._shapes(facts[:, SIZE]), facts[:, LABEL])


@lru_cache(maxsize=8)
def _black(height: int, width: int, channels: int) -> bytes:
    """A JPEG to decode where a record is none."""
    return tf.io.encode_jpeg(np.zeros((height, width, channels), np.uint8)).numpy()
