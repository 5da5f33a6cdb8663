"""RNN (src/caffe/layers/rnn_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.layers.base import Arity, Blob, serializable
from keras_caffe.layers.recurrent import Recurrent
from keras_caffe.ops.recurrent import over_time
from keras_caffe.ops.stock import as_tensor
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("RNN")
class RNN(Recurrent):
    """Elman's recurrent network, time first; cont = 0 begins a new sequence.

    h_t = tanh(W_hh (cont_t h_{t-1}) + W_xh x_t + b_h + W_xh_static x_static); o_t = tanh(W_ho h_t + b_o).

    Unless the state is exposed, h at the end of a forward pass is the start of the next one, in training and in
    inference (Caffe does so); no gradient flows back there. `reset_state()` sets it to zero.

    Args:
        num_output: H, the size of the state and of the output, at least 1.
        expose_hidden: take h_0 as a bottom and give h_T as a top; no gradient flows through them (False).
        static_input: there is a bottom x_static, the same at all times (False).
        weight_filler, bias_filler: see `keras_caffe.fillers` (constant 0).

    Shapes: x (T, N, ...), cont (T, N)[, x_static (N, ...)][, h_0 (1, N, H)] -> o (T, N, H)[, h_T (1, N, H)]. N must be
    known, unless the state is exposed.

    Raises:
        LayerError, NetError, ShapeError: no num_output, numbers of bottoms and tops or shapes that do not fit.

    Caffe: src/caffe/layers/recurrent_layer.cpp, rnn_layer.cpp
    """

    bottoms: Arity = (2, 4)
    tops: Arity = (1, 2)
    flops_per_cell = 3  # tanh of the state and of the output, and a product

    def run(self, x: Any, cont: Any, static: Any, state: tuple[Any, ...]) -> tuple[tuple[Any, ...], Any]:
        inner = ops.matmul(x, self.W_xh) + self.b_h
        if static is not None:
            inner = inner + ops.matmul(ops.reshape(static, (-1, self.W_xh_static.shape[0])), self.W_xh_static)
        weights = as_tensor(self.W_hh)

        def step(state: tuple[Any, ...], now: Sequence[Any]) -> tuple[Any, ...]:
            # In this order: OpenVINO's loop adds another step's input where that comes first.
            return (ops.tanh(ops.matmul(now[1] * state[0], weights) + now[0]),)

        last, h = over_time(step, state, (inner, cont))
        return last, ops.tanh(ops.matmul(h, self.W_ho) + self.b_o)

    def blob_table(self, *shapes: Shape) -> list[Blob]:
        square = (self.num_output, self.num_output)
        return [
            *self.input_blobs("h", self.num_output, shapes),
            Blob("W_hh", square, self.weight_filler, (1, 0)),
            Blob("W_ho", square, self.weight_filler, (1, 0)),
            Blob("b_o", (self.num_output,), self.bias_filler),
        ]
