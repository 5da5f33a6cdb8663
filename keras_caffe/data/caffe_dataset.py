"""The tf.data.Dataset that `keras_caffe.dataset` gives."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import tensorflow as tf

from keras_caffe.data.stream import Stream
from keras_caffe.errors import CaffeError


class CaffeDataset(tf.data.Dataset[Any]):
    """A tf.data.Dataset of {top: batch} that knows what it reads.

    Attributes:
        streams: those of the data layers.
        skipped: the errors of the records left out so far (`on_error="skip"`), the last 10,000 of each layer.
    """

    def __init__(self, dataset: tf.data.Dataset[Any], streams: Sequence[Stream]) -> None:
        self._dataset = dataset
        self.streams: list[Stream] = list(streams)
        super().__init__(dataset._variant_tensor)
        if not tf.executing_eagerly():
            _keep_with_graph(self.streams)

    @property
    def skipped(self) -> list[CaffeError]:
        return [error for stream in self.streams for error in stream.source.skipped]

    @property
    def element_spec(self) -> Any:
        return self._dataset.element_spec

    def take(self, count: Any, name: str | None = None) -> CaffeDataset:
        return CaffeDataset(super().take(count, name), self.streams)

    def _inputs(self) -> list[tf.data.Dataset]:
        return [self._dataset]

    def __iter__(self) -> Any:
        iterator = super().__iter__()
        if tf.executing_eagerly():
            # Keras and TensorFlow take only TensorFlow's own class of iterators, which only TensorFlow makes.
            own: Any = type(iterator)
            iterator.__class__ = _translating(own)
            iterator.streams = self.streams
        return iterator


def _keep_with_graph(streams: Sequence[Stream]) -> None:
    """Keeps the streams of a data set that is made in a function as long as the function's graph, which reads it."""
    graph = tf.compat.v1.get_default_graph()
    while hasattr(getattr(graph, "outer_graph", None), "outer_graph"):
        graph = graph.outer_graph
    # On the graph itself: a WeakKeyDictionary would hold streams whose functions hold the graph, and so never let go.
    graph.keras_caffe_streams = [*getattr(graph, "keras_caffe_streams", ()), *streams]


@cache
def _translating(iterator: type) -> type:
    """TensorFlow's class of eager iterators, raising the error a source raised where TensorFlow has its text only."""

    class Iterator(iterator):  # type: ignore[valid-type, misc]
        streams: Sequence[Stream] = ()

        def __next__(self) -> Any:
            try:
                return super().__next__()
            except tf.errors.OpError as error:
                problems = [problem for problem in (stream.explain() for stream in self.streams) if problem]
                raise (problems[0] if problems else error) from None

    return Iterator
