"""What forward passes change in layers: statistics, carried states, seeds of random numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from keras_caffe.converters.infer import Plan
from keras_caffe.layers.base import CaffeLayer


class States:
    """The states of a plan's layers, and what they were before each layer's last forward pass.

    Args:
        plan: its layers are built.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._before: dict[int, list[Any]] = {}  # node -> its state before its last forward pass

    def keep(self, nodes: Iterable[int]) -> None:
        """Keeps the states that layers are in, before they run forward."""
        self._before.update({index: self._now(index) for index in nodes})

    @contextmanager
    def as_before(self, nodes: Iterable[int]) -> Iterator[None]:
        """Layers in the state before their last forward pass, so that they compute the same again."""
        now = {index: self._now(index) for index in nodes}
        try:
            self._set({index: self._before.get(index, now[index]) for index in now})
            yield
        finally:
            self._set(now)

    def hand_over(self, old: CaffeLayer, index: int) -> None:
        """The layer that takes another one's place goes on with its state; what does not fit begins with 0."""
        self._before.pop(index, None)
        for mine, theirs in zip(_carried(self._plan.layers[index].layer), _carried(old), strict=True):
            same = tuple(mine.shape) == tuple(theirs.shape)
            mine.assign(theirs.value if same else tf.zeros_like(mine.value))

    def _now(self, index: int) -> list[Any]:
        return [tf.identity(variable.value) for variable in self._variables(index)]

    def _set(self, states: Mapping[int, Sequence[Any]]) -> None:
        for index, values in states.items():
            for variable, value in zip(self._variables(index), values, strict=True):
                variable.assign(value)

    def _variables(self, index: int) -> list[Any]:
        return _state_variables(self._plan.layers[index].layer)


def _state_variables(layer: CaffeLayer) -> list[Any]:
    learned = {id(bound.variable) for bound in layer.caffe_blobs if bound.blob.trainable}
    return [v for v in layer.non_trainable_variables if id(v) not in learned]


def _carried(layer: CaffeLayer) -> list[Any]:
    """A layer's states that are no blobs: those of a net stay with the net whose blobs they are."""
    blobs = {id(bound.variable) for bound in layer.caffe_blobs}
    return [v for v in layer.non_trainable_variables if id(v) not in blobs]
