"""Batches of JPEG records: TensorFlow decodes them in parallel, and only the windows that are kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from keras_caffe.data.fused import window_mean
from keras_caffe.data.image_size import check_pixels, jpeg_size
from keras_caffe.data.sources.image_source import ImageSource
from keras_caffe.data.stream import AT_ONCE, Share, Stream, in_python
from keras_caffe.errors import CaffeError
from keras_caffe.ops.pixel_batch import pixel_batch

RECENT = 32  # batches, more than are in the making
MARGIN = 2  # pixels; two chroma samples where chroma has half the size
BLOCK = 16  # pixels; the decoder is slower where what it keeps does not begin with a block

# What a row of numbers says of a record: what is decoded (top, left, height, width); whether its window is mirrored and
# where in what is decoded it begins (top, left); its running number; the image's height and width; the label.
DECODED, WINDOW, NUMBER, SIZE, LABEL = slice(0, 4), slice(4, 7), 7, slice(8, 10), 10
FACTS = 11


class JpegStream(Stream):
    """The batches of a source of JPEGs. TensorFlow decodes them, `read`'s transformation follows.

    Where a window lies is known from the file's header, before it is decoded. A batch that holds something else than
    JPEGs is read as `Stream` reads it.
    """

    source: ImageSource

    def __init__(self, source: ImageSource, share: Share) -> None:
        super().__init__(source, share)
        self.recent: deque[int] = deque(maxlen=RECENT)  # batches that TensorFlow decodes

    @property
    def at_once(self) -> int:
        return AT_ONCE if self.batch > 1 else tf.data.AUTOTUNE

    def explain(self, error: Exception) -> CaffeError | None:
        """What TensorFlow could not decode says nothing of the record: `read` says it of the first such batch."""
        if "PyFunc" in str(error):  # no decoder's
            return super().explain(error)
        for batch in sorted(self.recent):
            if batch >= min(self.problems.errors, default=batch + 1):
                break
            try:
                self._tops(batch)
            except CaffeError:
                break
        return self.problems.take()

    def _made(self, number: Any) -> Sequence[Any]:
        """A batch's tops. Its images are decoded by operations of one graph: a data set's element each costs more."""
        jpegs, data, facts = in_python(self._records, [number], [tf.bool, tf.string, tf.int64])
        return tf.cond(jpegs, lambda: self._decoded(number, data, facts), partial(super()._made, number))

    def _decoded(self, number: Any, data: Any, facts: Any) -> list[Any]:
        """The tops of a batch of JPEGs."""
        facts = tf.ensure_shape(facts, [self.batch, FACTS])
        decoded = self._images(tf.unstack(data, self.batch), facts)
        count = self.batch if self.total is None else tf.minimum(self.total - number * self.batch, self.batch)
        return self._finished(decoded, facts, count)

    def _finished(self, decoded: Sequence[Any], facts: Any, count: Any) -> list[Any]:
        """The tops of the first `count` images, of which are decoded what `facts` say."""
        return in_python(self._transformed, [facts[:count], *decoded], self._kinds())

    def _images(self, data: Sequence[Any], facts: Any) -> list[Any]:
        """What is decoded of each JPEG, red-green-blue."""
        options = {"channels": self.source.channels, "dct_method": "INTEGER_ACCURATE"}
        if not self.source.augment.crop:
            return [tf.io.decode_jpeg(image, **options) for image in data]
        places = tf.unstack(tf.cast(facts[:, DECODED], tf.int32))
        return [tf.io.decode_and_crop_jpeg(image, place, **options) for image, place in zip(data, places, strict=True)]

    def _records(self, batch: Any) -> list[Any]:
        """Whether all records of a batch are JPEGs; their bytes and facts. A last batch is filled up with its last."""
        with self.problems.kept(self.source, int(batch)):
            self.recent.append(int(batch))
            numbers = self.running_numbers(int(batch))
            records = [self.source.record_at(entry) for entry in self.source.entries(numbers)]
            sizes = [size for size in (jpeg_size(record.data) for record in records) if size is not None]
            if len(sizes) < len(records):
                return [False, np.zeros(0, object), np.zeros((0, FACTS), np.int64)]
            for record, (height, width) in zip(records, sizes, strict=True):
                check_pixels(height * width, record.data, record.where)
            placements = self.source.augment.placements(numbers, self._shapes(sizes))
        facts, missing = np.zeros((len(records), FACTS), np.int64), self.batch - len(records)
        facts[:, NUMBER], facts[:, SIZE] = numbers, sizes
        facts[:, LABEL] = [record.label for record in records]
        facts[:, WINDOW] = placements
        facts[:, DECODED], facts[:, WINDOW][:, 1:] = self._with_margins(facts[:, WINDOW][:, 1:], facts[:, SIZE])
        data = np.array([*(bytes(record.data) for record in records), *[bytes(records[-1].data)] * missing], object)
        return [True, data, np.pad(facts, [(0, missing), (0, 0)], "edge")]

    def _with_margins(self, starts: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What is decoded of JPEGs: top, left, height, width, and where in that the windows begin.

        The decoder smooths colours across a window's edges only if it decodes a little more.
        """
        ends = np.minimum(sizes, starts + (self.source.augment.crop or sizes) + MARGIN)
        outer = np.maximum(0, starts - MARGIN)
        outer[:, 1] -= outer[:, 1] % BLOCK  # Columns only: the decoder skips rows one by one.
        return np.concatenate([outer, ends - outer], axis=1), starts - outer

    def _shapes(self, sizes: Iterable[Sequence[int]] | np.ndarray) -> list[tuple[int, ...]]:
        """The images' shapes, after they were checked."""
        shapes = [(self.source.first_shape[0], *map(int, size)) for size in sizes]
        for shape in set(shapes):
            self.source.augment.check(shape)
        return shapes

    def _transformed(self, facts: np.ndarray, *decoded: np.ndarray) -> list[np.ndarray]:
        """The tops of the images that `facts` say, of what is decoded of each, red-green-blue."""
        shapes, crop = self._shapes(facts[:, SIZE]), self.source.augment.crop
        planes = [image[..., ::-1].transpose(2, 0, 1) for image in decoded[: len(facts)]]
        if crop:
            places = facts[:, WINDOW][:, 1:].tolist()
            planes = [
                image[:, top : top + crop[0], left : left + crop[1]]
                for image, (top, left) in zip(planes, places, strict=True)
            ]
        if len({image.shape for image in planes}) > 1:
            raise ValueError("images of different sizes in one batch")  # `explain` says which
        return self.source.transformed(facts[:, NUMBER], planes, shapes, facts[:, LABEL])


class PixelStream(JpegStream):
    """The batches of a source of JPEGs that decode to windows of one size, below one mean: PixelBatch finishes them."""

    def __init__(self, source: ImageSource, share: Share) -> None:
        super().__init__(source, share)
        augment, first, data_format = source.augment, source.first_shape, source.settings.data_format
        self.mean: np.ndarray | None = window_mean(augment, first, data_format)
        self.options: dict[str, Any] = {"size": augment.size(first), "scale": augment.scale, "data_format": data_format}

    def _finished(self, decoded: Sequence[Any], facts: Any, count: Any) -> list[Any]:
        batch = pixel_batch(decoded, facts[:, WINDOW], self.mean, **self.options)
        return [batch[:count], tf.cast(facts[:count, LABEL], tf.float32)][: len(self.source.tops)]
