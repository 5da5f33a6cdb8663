"""LSTMUnit (src/caffe/layers/lstm_unit_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import ShapeError
from keras_caffe.layers.base import Arity, CaffeLayer, serializable
from keras_caffe.ops.recurrent import lstm_unit
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, same_shape


@serializable
@register_layer("LSTMUnit")
class LSTMUnit(CaffeLayer):
    """One step of an LSTM's cell: c' = cont f c + i g, h' = o tanh(c').

    The gates are sigmoid(i), sigmoid(f), sigmoid(o), tanh(g) of the second bottom's four parts. No gradient to cont.

    Shapes: c (1, N, H), gates (1, N, 4 H), cont (1, N) -> c', h' (1, N, H).

    Raises:
        ShapeError: the bottoms do not fit each other.

    Caffe: src/caffe/layers/lstm_unit_layer.cpp
    """

    bottoms: Arity = (3, 3)
    tops: Arity = (2, 2)
    stores = "caffe"
    flops_per_top_value: int | None = 5  # of both tops: 4 gates, tanh, 4 products, a sum
    no_gradient: Sequence[int] = (2,)
    not_forced: Sequence[int] = (2,)

    def call(self, inputs: Any) -> Any:
        c, gates, cont = inputs
        return list(lstm_unit(c, gates, ops.expand_dims(ops.stop_gradient(cont), -1)))

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        c, gates, cont = shapes
        if len(c) != 3 or len(gates) != 3:
            raise ShapeError("the first two bottoms of LSTMUnit need 3 axes", expected="(1, N, H)", received=(c, gates))
        _, streams, size = c
        same_shape((1, streams, size), c, "LSTMUnit takes one step at a time")
        wide = None if size is None else 4 * size
        same_shape((1, streams, wide), gates, "the gates of LSTMUnit do not fit its state")
        same_shape((1, streams), cont, "cont of LSTMUnit does not fit its state")
        return [c, c]
