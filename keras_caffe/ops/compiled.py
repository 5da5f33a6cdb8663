"""Layers of many small operations, or of loops over boxes, as one graph each where they are called eagerly."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from functools import partial, wraps
from typing import Any
from weakref import WeakKeyDictionary, ref

from keras_caffe.ops.refusals import refusals_raised
from keras_caffe.ops.stock import on_tensorflow

_GRAPHS: MutableMapping[Any, Any] = WeakKeyDictionary()  # layer -> its compiled call


def compiled(call: Callable[..., Any]) -> Callable[..., Any]:
    """A layer's `call`, or the part of it that computes, which eager TensorFlow runs as a graph, compiled once for each
    kind of input; else as it is.

    In eager mode each pass of a loop starts dozens of operations, one after the other: a hundred times the work.
    """

    @wraps(call)
    def run(self: Any, inputs: Any) -> Any:
        if not on_tensorflow():
            return call(self, inputs)
        import tensorflow as tf

        if not tf.executing_eagerly():
            return call(self, inputs)
        if self not in _GRAPHS:
            # TensorFlow warns of many traces of one code; a partial has no code, so each layer counts by itself.
            run_layer = partial(_of_living, call, ref(self))
            _GRAPHS[self] = tf.function(run_layer, autograph=False, reduce_retracing=True)
        with refusals_raised():
            return _GRAPHS[self](inputs)

    return run


def _of_living(call: Callable[..., Any], layer: ref[Any], inputs: Any) -> Any:
    """The call of a layer that is only referred to: its graph lives as long as it does, not the other way round."""
    return call(layer(), inputs)
