"""Batches of JPEG records: tf.data decodes them in parallel, and only the windows that are kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from keras_caffe.data import images
from keras_caffe.data.sources.image_source import ImageSource
from keras_caffe.data.stream import AT_ONCE, Stream
from keras_caffe.errors import DataError


class JpegStream(Stream):
    """The batches of a source whose first record is a JPEG.

    Records that are none are decoded as `Stream` does it, so that a database may hold both.
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
        """The bytes, running numbers, labels and draws of a batch's records."""
        data, *others = tf.numpy_function(self._records, [batch], [tf.string, tf.int64, tf.float32, tf.int64])
        data.set_shape([None])
        for tensor, shape in zip(others, ([None], [None], [None, 3]), strict=True):
            tensor.set_shape(shape)
        return (data, *others)

    def _window(self, data: Any, number: Any, label: Any, draws: Any) -> tuple[Any, ...]:
        """The window of a record's image that is kept, red-green-blue, and the size of the whole image."""
        window, size = tf.cond(
            tf.equal(tf.strings.substr(data, 0, 2), images.JPEG),
            lambda: self._decode(data, draws),
            lambda: tuple(tf.numpy_function(self._other, [number], [tf.uint8, tf.int64])),
        )
        window.set_shape([None, None, None])
        size.set_shape([2])
        return window, size, number, label

    def _decode(self, data: Any, draws: Any) -> tuple[Any, Any]:
        augment, channels = self.source.augment, self.source.channels
        size = tf.cast(tf.io.extract_jpeg_shape(data)[:2], tf.int64)
        how = {"channels": channels, "dct_method": "INTEGER_ACCURATE"}
        if not augment.crop:
            return tf.io.decode_jpeg(data, **how), size
        free = size - tf.constant(augment.crop, tf.int64)
        start = draws[1:] % tf.maximum(free + 1, 1) if augment.train else free // 2
        window = tf.concat([tf.cast(start, tf.int32), augment.crop], 0)
        return tf.io.decode_and_crop_jpeg(data, window, **how), size

    def _finish(self, windows: Any, sizes: Any, numbers: Any, labels: Any) -> tuple[Any, ...]:
        if not self.fused:
            kinds = [tf.float32] * len(self.source.tops)
            return self._shaped(tf.numpy_function(self._batch, [windows, sizes, numbers, labels], kinds))
        mirrored = tf.numpy_function(self._mirrored, [sizes, numbers], tf.bool)
        windows.set_shape([None, None, None, self.source.first_shape[0]])
        return self._shaped([self.fused.apply(windows, tf.ensure_shape(mirrored, [None])), labels])

    def _records(self, batch: Any) -> list[np.ndarray]:
        with self.problems.kept(self.source):
            self.recent.append(int(batch))
            numbers = self.running_numbers(int(batch))
            records = [self.source.record_at(entry) for entry in self.source.entries(numbers)]
        data = np.array([bytes(record.data) for record in records] + [None], object)[:-1]
        labels = np.array([record.label for record in records], np.float32)
        return [data, numbers, labels, self.source.augment.draws(numbers)]

    def _other(self, number: Any) -> list[np.ndarray]:
        with self.problems.kept(self.source):
            number = np.array([int(number)])
            image = self.source.image_at(number[0])
            if image.dtype != np.uint8:
                raise DataError("records of numbers lie between JPEGs", received=f"record {number[0]}")
            window = self.source.augment.cropped(image, self.source.augment.plans(number, [image.shape])[0])
        return [np.ascontiguousarray(window.transpose(1, 2, 0)[..., ::-1]), np.array(image.shape[1:])]

    def _batch(self, windows: np.ndarray, sizes: np.ndarray, numbers: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
        planes = windows[..., ::-1].transpose(0, 3, 1, 2)
        with self.problems.kept(self.source):
            return self.source.transformed(numbers, planes, self._shapes(sizes), labels)

    def _mirrored(self, sizes: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        shapes = self._shapes(sizes)
        with self.problems.kept(self.source):
            for shape in set(shapes):
                self.source.augment.check(shape)
            return np.array([plan.mirror for plan in self.source.augment.plans(numbers, shapes)])

    def _shapes(self, sizes: np.ndarray) -> list[tuple[int, ...]]:
        return [(self.source.first_shape[0], *size) for size in sizes.tolist()]
