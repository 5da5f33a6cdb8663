"""The tf.data.Dataset that `keras_caffe.dataset` gives."""

from __future__ import annotations

from collections.abc import Sequence
from functools import wraps
from typing import Any

import tensorflow as tf

from keras_caffe.data.iterators import guarded
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

    def _inputs(self) -> list[tf.data.Dataset]:
        return [self._dataset]

    def __iter__(self) -> Any:
        iterator = super().__iter__()
        return guarded(iterator, self._explain) if tf.executing_eagerly() else iterator

    def _explain(self, error: Exception) -> CaffeError | None:
        return next((problem for problem in (stream.explain(error) for stream in self.streams) if problem), None)


def _deriving(name: str) -> Any:
    """tf.data.Dataset's method of this name, whose data set knows what it reads, too."""
    method = getattr(tf.data.Dataset, name)

    @wraps(method)
    def derive(self: CaffeDataset, *args: Any, **kwargs: Any) -> Any:
        derived = method(self, *args, **kwargs)
        return CaffeDataset(derived, self.streams) if isinstance(derived, tf.data.Dataset) else derived

    return derive


for _name in (
    "apply batch bucket_by_sequence_length cache concatenate enumerate filter flat_map group_by_window ignore_errors "
    "interleave map padded_batch prefetch ragged_batch rebatch rejection_resample repeat scan shard shuffle skip "
    "snapshot sparse_batch take take_while unbatch unique window with_options"
).split():
    setattr(CaffeDataset, _name, _deriving(_name))


def _keep_with_graph(streams: Sequence[Stream]) -> None:
    """Keeps the streams of a data set that is made in a function as long as the function's graph, which reads it."""
    graph = tf.compat.v1.get_default_graph()
    while hasattr(getattr(graph, "outer_graph", None), "outer_graph"):
        graph = graph.outer_graph
    # On the graph itself: a WeakKeyDictionary would hold streams whose functions hold the graph, and so never let go.
    graph.keras_caffe_streams = [*getattr(graph, "keras_caffe_streams", ()), *streams]
