"""Batches of JPEG records: tf.data decodes them in parallel, and only the windows that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_caffe.data import images
from keras_caffe.data.augment import Plan
from keras_caffe.data.sources.image_source import ImageSource
from keras_caffe.data.stream import AT_ONCE, Stream
from keras_caffe.errors import DataError

MARGIN = 2  # pixels; two chroma samples where chroma has half the size


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
        batches = self._numbers()
        records = batches.map(self._fetch, num_parallel_calls=AT_ONCE, deterministic=True).unbatch()
        windows = records.map(self._window, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        made = windows.batch(self.batch, drop_remainder=self.total is None or self.share.drop_remainder)
        tops = made.map(self._finish, num_parallel_calls=AT_ONCE, deterministic=True)
        return tops.apply(tf.data.experimental.assert_cardinality(batches.cardinality()))

    def _fetch(self, batch: Any) -> tuple[Any, ...]:
        """For each record of a batch: its bytes, running number, window, height and width, label, and if mirrored."""
        kinds = [tf.string, tf.int64, tf.int32, tf.int64, tf.float32, tf.bool]
        tensors = tf.numpy_function(self._records, [batch], kinds, stateful=False)
        shapes = [None], [None], [None, 6], [None, 2], [None], [None]
        return tuple(tf.ensure_shape(tensor, shape) for tensor, shape in zip(tensors, shapes, strict=True))

    def _window(self, data: Any, number: Any, window: Any, *others: Any) -> tuple[Any, ...]:
        """The window of a record's image that is kept, red-green-blue."""
        pixels = tf.cond(
            window[2] > 0,
            lambda: self._decode(data, window),
            lambda: tf.numpy_function(self._other, [number], tf.uint8, stateful=False),
        )
        pixels.set_shape([None, None, self.source.first_shape[0]])
        return pixels, number, *others

    def _decode(self, data: Any, window: Any) -> Any:
        how = {"channels": self.source.channels, "dct_method": "INTEGER_ACCURATE"}
        if not self.source.augment.crop:
            return tf.io.decode_jpeg(data, **how)
        pixels = tf.io.decode_and_crop_jpeg(data, window[:4], **how)
        height, width = self.source.augment.crop
        return pixels[window[4] : window[4] + height, window[5] : window[5] + width]

    def _finish(self, windows: Any, numbers: Any, sizes: Any, labels: Any, mirrored: Any) -> tuple[Any, ...]:
        if self.fused:
            return self._shaped([self.fused.apply(windows, mirrored), labels])
        kinds = [tf.float32] * len(self.source.tops)
        given = [windows, numbers, sizes, labels]
        return self._shaped(tf.numpy_function(self._transformed, given, kinds, stateful=False))

    def _records(self, batch: Any) -> list[np.ndarray]:
        with self.problems.kept(self.source, int(batch)):
            self.recent.append(int(batch))
            numbers = self.running_numbers(int(batch))
            records = [self.source.record_at(entry) for entry in self.source.entries(numbers)]
            known = [images.jpeg_size(record.data) for record in records]
            sizes = [size or self._size(number) for number, size in zip(numbers, known, strict=True)]
            plans = self.source.augment.plans(numbers, self._shapes(sizes))
        data = np.empty(len(records), object)
        data[:] = [bytes(record.data) for record in records]
        windows = [self._with_margin(plan, size) for plan, size in zip(plans, known, strict=True)]
        labels = np.array([record.label for record in records], np.float32)
        mirrored = np.array([plan.mirror for plan in plans])
        return [data, numbers, np.array(windows, np.int32), np.array(sizes), labels, mirrored]

    def _with_margin(self, plan: Plan, size: tuple[int, ...] | None) -> tuple[int, ...]:
        """What is decoded of a JPEG: top, left, height, width, and where in that the window begins.

        The decoder smooths colours across the window's edges only if it decodes a little more.
        """
        if size is None or not self.source.augment.crop:
            return (0, 0, int(size is not None), 0, 0, 0)
        starts = [max(0, start - MARGIN) for start in (plan.top, plan.left)]
        ends = zip((plan.top, plan.left), self.source.augment.crop, size, strict=True)
        lengths = [
            min(full, start + crop + MARGIN) - outer for (start, crop, full), outer in zip(ends, starts, strict=True)
        ]
        return (*starts, *lengths, plan.top - starts[0], plan.left - starts[1])

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

    def _other(self, number: Any) -> np.ndarray:
        image = self.source.image_at(int(number))
        plan = self.source.augment.plans(np.array([number]), [image.shape])[0]
        return np.ascontiguousarray(self.source.augment.cropped(image, plan).transpose(1, 2, 0)[..., ::-1])

    def _transformed(
        self, windows: np.ndarray, numbers: np.ndarray, sizes: np.ndarray, labels: np.ndarray
    ) -> list[np.ndarray]:
        planes = windows[..., ::-1].transpose(0, 3, 1, 2)
        return self.source.transformed(numbers, planes, self._shapes(sizes), labels)
