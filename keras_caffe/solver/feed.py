"""Batches for a solver: one stream for each net, which goes on from call to call."""

from __future__ import annotations

import atexit
import gc
import itertools
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from keras_caffe.converters.keras_names import keras_name
from keras_caffe.data.iterators import guarded
from keras_caffe.data.stream import in_python
from keras_caffe.errors import DataError, Option

Batch = Mapping[str, Any]

_feeds: weakref.WeakSet[Feed] = weakref.WeakSet()


class Feed:
    """The batches of a net, without end.

    Args:
        data: a tf.data.Dataset, an iterable of {blob: batch}, or a function that opens the data set of a worker.
        inputs: {name: Keras tensor} of the model's inputs.
        per_step: batches that a step takes: iter_size.
        what: name for errors.
        check: raises a CaffeError for {input: shape} of a batch whose inputs do not fit each other.
    """

    def __init__(
        self,
        data: Any,
        inputs: Mapping[str, Any],
        per_step: int,
        what: str,
        check: Callable[[Mapping[str, tuple[int, ...]]], None] = lambda shapes: None,
    ) -> None:
        self.data: Any = data
        self.per_step: int = per_step
        self.what: str = what
        self._check = check
        self.specs: dict[str, tf.TensorSpec] = {
            name: tf.TensorSpec(tensor.shape, tensor.dtype) for name, tensor in inputs.items()
        }
        self.error: BaseException | None = None
        self._first_step = 0
        self._open: dict[str, Any] = {}
        self._arrays: Iterator[list[np.ndarray]] = iter(())
        _feeds.add(self)

    @property
    def restarts(self) -> bool:
        """Whether the data can be read from the beginning again."""
        return callable(self.data) or isinstance(self.data, tf.data.Dataset) or iter(self.data) is not self.data

    def seek(self, step: int) -> None:
        """Goes to where a run that began at the first batch is before a step; data that cannot restart stay."""
        if self.restarts:
            self.close()
            self._first_step = step

    def skip(self, steps: int) -> None:
        """Reads past so many steps with the iterator that is open; data that cannot restart stay."""
        for _ in range(steps if self.restarts else 0):
            next(self.iterator)

    def close(self) -> None:
        """Lets go of the iterator; the next one begins anew."""
        self._open.clear()

    @property
    def iterator(self) -> Any:
        """Of the elements of steps: tuples of `per_step` batches; for each replica, one."""
        if not self._open:
            dataset = self._steps(self._first_step)
            self._open.update(dataset=dataset, iterator=guarded(iter(dataset)))
        return self._open["iterator"]

    def dataset(self, step: int) -> Any:
        """What Keras's fit iterates over: the steps from where the stream is."""
        if tf.distribute.has_strategy():  # A distributed iterator cannot be handed on: it reads ahead.
            self.close()
            return self._steps(step if self.restarts else 0)
        iterator = self.iterator
        options = tf.data.Options()
        options.experimental_optimization.inject_prefetch = False  # it takes a batch that nobody trains on
        steps = tf.data.Dataset.counter().map(lambda _: iterator.get_next())
        return _untuned(steps.with_options(options))

    def raise_error(self, met: Exception) -> None:
        """Raises what the data raised, where what TensorFlow met has only its text."""
        error, self.error = self.error, None
        if error is not None:
            raise error
        if isinstance(met, tf.errors.OutOfRangeError) or "End of sequence" in str(met):
            raise DataError(f"the {self.what} ended", expected="batches without end", received="no batch") from None

    def _steps(self, step: int) -> Any:
        if not tf.distribute.has_strategy():
            return self._worker_steps(None, step)
        strategy = tf.distribute.get_strategy()
        return strategy.distribute_datasets_from_function(
            lambda context: self._worker_steps(
                context, step * context.num_replicas_in_sync // context.num_input_pipelines
            )
        )

    def _worker_steps(self, context: Any, step: int) -> tf.data.Dataset:
        batches = self._batches(context)
        batches = batches.skip(step * self.per_step) if step else batches
        if self.per_step == 1:
            return _untuned(batches.map(lambda batch: (batch,)))
        return _untuned(batches.window(self.per_step, drop_remainder=True).map(self._passes))

    def _passes(self, window: Mapping[str, tf.data.Dataset]) -> tuple[Batch, ...]:
        """The batches of a step; not stacked, because images may differ in size from batch to batch."""
        batches = tf.data.Dataset.zip(window)
        return tuple(batches.skip(number).take(1).get_single_element() for number in range(self.per_step))

    def _batches(self, context: Any) -> tf.data.Dataset:
        if not self.specs:  # The net fills its blobs itself; an element without tensors there is not.
            return tf.data.Dataset.from_tensors({"nothing": 0.0}).repeat()
        data = self.data(context) if callable(self.data) else self.data
        if isinstance(data, tf.data.Dataset):
            self._check_shapes(self._named(_first(data.element_spec)))  # in a graph it would be TensorFlow's error
            return data.repeat().map(lambda *element: self._fit_together(self._fitted(self._named(element[0]))))
        # Not from_generator: TensorFlow never lets go of what that reads.
        return tf.data.Dataset.counter().map(self._from_python)

    def _fitted(self, batch: Batch) -> dict[str, Any]:
        """The model's inputs from a batch of the data set."""
        return {
            name: tf.ensure_shape(tf.cast(batch[name], spec.dtype), spec.shape) for name, spec in self.specs.items()
        }

    def _fit_together(self, batch: Mapping[str, Any]) -> Mapping[str, Any]:
        """The batch, if its inputs fit each other; those of equally many rows do."""
        rows = [tf.shape(x)[0] for x in batch.values() if x.shape.rank]
        if not rows:
            return batch
        fits = tf.cond(
            tf.reduce_all(tf.stack(rows) == rows[0]),
            lambda: True,
            lambda: in_python(self._checks, [tf.shape(x) for x in batch.values()], [tf.bool], stateful=True)[0],
        )
        with tf.control_dependencies([fits]):
            return {name: tf.identity(x) for name, x in batch.items()}

    def _checks(self, *shapes: np.ndarray) -> Any:
        try:
            self._check(dict(zip(self.specs, (tuple(shape.tolist()) for shape in shapes), strict=True)))
        except Exception as error:  # it would reach the caller as text only
            self.error = error
            raise
        return np.True_

    def _from_python(self, number: Any) -> dict[str, Any]:
        kinds = [spec.dtype for spec in self.specs.values()]
        arrays = in_python(self._next_arrays, [number], kinds, stateful=True)
        return self._fitted(dict(zip(self.specs, arrays, strict=True)))

    def _next_arrays(self, number: Any) -> list[np.ndarray]:
        try:
            if number == 0:
                self._arrays, self.error = self._all_arrays(), None
            return next(self._arrays)
        except Exception as error:  # it would reach the caller as text only
            self.error = self.error or error  # a step's other passes are asked for, too, and find an ended generator
            raise

    def _all_arrays(self) -> Iterator[list[np.ndarray]]:
        count = 0
        while True:
            start = count
            for batch in self.data:
                count += 1
                yield self._checked(self._named(batch))
            if not self.restarts or count == start:
                raise DataError(f"the {self.what} ended", expected="batches without end", received=f"{count} batches")

    def _named(self, batch: Any) -> Batch:
        if not isinstance(batch, Mapping):
            if len(self.specs) != 1:
                raise DataError(
                    f"the {self.what} are not dictionaries",
                    expected=f"{{blob: batch}} of {', '.join(self.specs)}",
                    received=type(batch).__name__,
                )
            batch = {next(iter(self.specs)): batch}
        batch = {keras_name(name): array for name, array in batch.items()}
        missing = [name for name in self.specs if name not in batch]
        if missing:
            raise DataError(
                f"the {self.what} lack input {', '.join(map(repr, missing))}",
                expected=f"batches of {', '.join(self.specs)}",
                received=f"batches of {', '.join(batch) or 'nothing'}",
            )
        return batch

    def _checked(self, batch: Batch) -> list[np.ndarray]:
        arrays = {name: np.asarray(batch[name], spec.dtype.as_numpy_dtype) for name, spec in self.specs.items()}
        self._check_shapes(arrays)
        self._check({name: array.shape for name, array in arrays.items()})
        return list(arrays.values())

    def _check_shapes(self, batch: Batch) -> None:
        for name, spec in self.specs.items():
            received = tf.TensorShape(batch[name].shape)
            if not spec.shape.is_compatible_with(received):
                raise DataError(
                    f"the {self.what} have another shape for input {name!r} than the net",
                    expected=tuple(spec.shape),
                    received=tuple(received),
                    fix=Option("data_format", ..., "if the axes have another order"),
                )


def _untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The data set without TensorFlow's tuning of how much is made at once, unless its maker asked for it.

    The tuner's thread can hold up the closing of an iterator, and so the process's end, for a minute.
    """
    if dataset.options().autotune.enabled is not None:
        return dataset
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


@atexit.register
def _close_all() -> None:
    """TensorFlow complains about iterators over Python's data that outlive Python."""
    for feed in list(_feeds):
        feed.close()
    gc.collect()


def _first(element: Any) -> Any:
    """What is fed of an element: Keras's data sets have tuples, of inputs and targets."""
    return element[0] if isinstance(element, tuple) else element


def peek(data: Any) -> tuple[dict[str, tuple[int | None, ...]], Any]:
    """{blob: shape of a batch}, and data from which nothing is missing."""
    if isinstance(data, tf.data.Dataset):
        spec = _first(data.element_spec)
        return ({n: tuple(s.shape) for n, s in spec.items()} if isinstance(spec, Mapping) else {}), data
    batches = iter(data)
    first = next(batches, None)
    rest = itertools.chain([first], batches) if batches is data and first is not None else data
    return ({n: np.shape(a) for n, a in first.items()} if isinstance(first, Mapping) else {}), rest
