"""Functions of tensors, compiled for the layers and shapes that they are called with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import tensorflow as tf

from keras_caffe.converters.infer import PlannedLayer
from keras_caffe.ops.refusals import refusals_raised
from keras_caffe.pycaffe.recent import Recent

Named = Sequence[tuple[Any, Any]]
Run = Callable[..., Sequence[Named]]
"""Of lists of tensors, gives lists of pairs (name, tensor); names stay out of the graph."""


class Compiled:
    """Calls functions compiled: each once for its key, the layers that it calls, and the shapes of the tensors."""

    def __init__(self) -> None:
        self._functions: dict[Any, Recent[Any, Any]] = {}

    def call(self, key: Any, layers: Sequence[PlannedLayer], function: Run, *args: Sequence[Any]) -> Sequence[Named]:
        """What the function gives for these lists of tensors."""
        shapes = tuple(tuple(tensor.shape) for tensors in args for tensor in tensors)
        called = (tuple(planned.layer for planned in layers), shapes)
        recent = self._functions.setdefault(key, Recent())
        with refusals_raised():
            compiled, names = recent.get(called, lambda: _compile(function, args))
            results = compiled(*chain(*args))  # flat: TensorFlow takes longer for lists
        return [list(zip(n, tensors, strict=True)) for n, tensors in zip(names, results, strict=True)]


def _compile(function: Run, args: Sequence[Sequence[Any]]) -> tuple[Any, list[list[Any]]]:
    names: list[list[Any]] = []
    sizes = [len(arg) for arg in args]

    def traced(*flat: Any) -> Any:
        tensors = iter(flat)
        with tf.name_scope("net"):  # At the root TensorFlow takes fewer names.
            results = function(*([next(tensors) for _ in range(size)] for size in sizes))
        names[:] = [[name for name, _ in pairs] for pairs in results]
        return [[tensor for _, tensor in pairs] for pairs in results]

    return tf.function(traced, autograph=False).get_concrete_function(*chain(*args)), names
