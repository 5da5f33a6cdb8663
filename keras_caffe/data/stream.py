"""Batches of one source as a tf.data.Dataset.

All state is in tf.data: a counter gives batch numbers, and everything else follows from the number. So an iterator can
be saved and restored, and two workers that take different numbers take different records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakMethod

import numpy as np
import tensorflow as tf

from keras_caffe.data.fused import Fused
from keras_caffe.data.sources.base import Delivery, Source
from keras_caffe.data.sources.image_source import ImageSource
from keras_caffe.errors import CaffeError, DataError, Option
from keras_caffe.shapes import ceil_div

AT_ONCE = 2  # batches


@dataclass(frozen=True)
class Share:
    """Which part of the records this stream gives.

    Args:
        index: of this worker.
        workers: their number; worker r takes the records r, r + workers, ...
        epochs: passes over all records; None for no end.
        replicas: batch_size is multiplied by it.
        drop_remainder: whether a last batch that is not full is left out.
    """

    index: int = 0
    workers: int = 1
    epochs: int | None = None
    replicas: int = 1
    drop_remainder: bool = False

    def records(self, source: Source) -> int | None:
        """How many records this worker gives in all; None for no end."""
        if self.epochs is None:
            return None
        if source.size is None:
            raise DataError(
                "the layer's data never end, so they have no epochs",
                layer=source.layer.name,
                fix=Option("epochs", None, "and take() what you need"),
            )
        return ceil_div(source.size * self.epochs - self.index, self.workers)


class Problems:
    """Keeps the error that stopped a stream: TensorFlow passes on its text only."""

    def __init__(self) -> None:
        self.errors: dict[int, CaffeError] = {}  # by batch, as several are in the making at once

    @contextmanager
    def kept(self, source: Source, batch: int = 0) -> Iterator[None]:
        """Keeps a CaffeError that is raised inside, with the layer's name."""
        try:
            yield
        except CaffeError as error:
            error.at(layer=f"{source.layer.name!r} ({source.layer.type})")
            self.errors[batch] = error
            raise

    def take(self, said: str = "") -> CaffeError | None:
        """The error of the first batch that has one whose text is part of what was said."""
        errors, self.errors = self.errors, {}
        return next((errors[batch] for batch in sorted(errors) if not said or str(errors[batch]) in said), None)


class Stream:
    """The batches of one source, whose `read` makes them whole.

    Args:
        source: the data layer.
        share: which of its records.
    """

    def __init__(self, source: Source, share: Share) -> None:
        self.source: Source = source
        self.share: Share = share
        self.problems: Problems = Problems()
        self.delivery: Delivery = source.delivery
        self.batch: int = source.batch_size * (share.replicas if self.delivery.counted else 1)
        self.total: int | None = share.records(source)

    def dataset(self) -> tf.data.Dataset[Any]:
        """A data set of tuples, one tensor for each top."""
        parallel = {} if self.delivery.ordered else {"num_parallel_calls": self.at_once, "deterministic": True}
        batches = self._numbers().map(lambda number: self._shaped(self._made(number)), **parallel)
        return self._filled_up(batches) if self.delivery.gaps else batches

    def _filled_up(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """Full batches of what is left or, where tops are no rows of records, all batches but the empty ones."""
        full = batches.filter(lambda images, *_: tf.shape(images)[0] > 0)  # an empty one has no size to be joined by
        if self.delivery.rows:
            return full.rebatch(self.batch, drop_remainder=self.share.drop_remainder or self.total is None)
        return full

    @property
    def at_once(self) -> int:
        """How many batches are made at once."""
        return AT_ONCE

    def _numbers(self) -> tf.data.Dataset:
        if self.total is None:
            return tf.data.Dataset.counter()
        full, rest = divmod(self.total, self.batch)
        return tf.data.Dataset.range(full + bool(rest and not self.share.drop_remainder))

    def _made(self, number: Any) -> Sequence[Any]:
        """The tops of the batch with this number."""
        return in_python(self._tops, [number], self._kinds(), stateful=self.delivery.ordered)

    def _kinds(self) -> list[tf.DType]:
        return [tf.float32] * len(self.source.tops)

    def _shaped(self, tops: Sequence[Any]) -> tuple[Any, ...]:
        shapes = [self._full(shape) for shape in self.source.stored_shapes()]
        return tuple(tf.ensure_shape(top, shape) for top, shape in zip(tops[: len(shapes)], shapes, strict=True))

    def _full(self, shape: Sequence[int | None]) -> Sequence[int | None]:
        """A top's shape with the batch size, if every batch has it."""
        varies = self.delivery.ordered or self.delivery.gaps or not shape or shape[0] is not None
        partial = self.total is not None and self.total % self.batch and not self.share.drop_remainder
        return shape if varies or partial else (self.batch, *shape[1:])

    def _tops(self, number: Any) -> list[np.ndarray]:
        with self.problems.kept(self.source, int(number)):
            return self.source.read(self.running_numbers(int(number)))

    def explain(self, error: Exception) -> CaffeError | None:
        """The error that stopped this stream, if what TensorFlow raised tells of one of the source's."""
        return self.problems.take(str(error))

    def running_numbers(self, batch: int) -> np.ndarray:
        """The running record numbers of a batch, counted over all workers."""
        first, end = batch * self.batch, (batch + 1) * self.batch
        own = np.arange(first, end if self.total is None else min(end, self.total))
        return self.share.index + self.share.workers * own


class WindowStream(Stream):
    """The batches of a source of 8-bit windows, which are transformed by one compiled function."""

    source: ImageSource

    def __init__(self, source: ImageSource, share: Share) -> None:
        super().__init__(source, share)
        self.fused: Fused = Fused(source.augment, source.first_shape, source.settings.data_format)

    def _made(self, number: Any) -> Sequence[Any]:
        windows, mirrored, labels = in_python(self._windows, [number], [tf.uint8, tf.bool, tf.float32])
        windows.set_shape([None, *self.source.augment.size(self.source.first_shape)])
        return [self.fused.apply(windows, tf.ensure_shape(mirrored, [None])), labels]

    def _windows(self, number: Any) -> list[np.ndarray]:
        with self.problems.kept(self.source, int(number)):
            return self.source.windows(self.running_numbers(int(number)))


def in_python(
    method: Callable[..., Any], inputs: Sequence[Any], kinds: Sequence[tf.DType], stateful: bool = False
) -> Any:
    """tf.numpy_function of a method.

    TensorFlow keeps such a function as long as the process lives; here it does not keep the method's object, which the
    data set and its iterators hold.
    """
    reference = WeakMethod(method)

    def call(*arguments: Any) -> Any:
        bound = reference()
        if bound is None:
            raise RuntimeError("the data set that this iterator reads is gone; keep it while it is read")
        return bound(*arguments)

    return tf.numpy_function(call, inputs, kinds, stateful=stateful)
