"""LSTM (src/caffe/layers/lstm_layer.cpp)."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_caffe.layers.base import Arity, Blob, serializable
from keras_caffe.layers.recurrent import Recurrent
from keras_caffe.ops.recurrent import lstm_unit, over_time
from keras_caffe.ops.stock import as_tensor
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("LSTM")
class LSTM(Recurrent):
    """Long short-term memory without peepholes, time first; cont = 0 begins a new sequence.

    [i, f, o, g] = W_xc x_t + b_c + W_xc_static x_static + W_hc (cont_t h_{t-1}), sigmoid on i, f, o and tanh on g;
    c_t = cont_t f c_{t-1} + i g; h_t = o tanh(c_t).

    Unless the states are exposed, h and c at the end of a forward pass are the start of the next one, in training and
    in inference (Caffe does so); no gradient flows back there. `reset_state()` sets them to zero.

    Args:
        num_output: H, the number of cells, at least 1.
        expose_hidden: take h_0 and c_0 as bottoms and give h_T and c_T as tops; no gradient flows through them (False).
        static_input: there is a bottom x_static, the same at all times (False).
        weight_filler, bias_filler: see `keras_caffe.fillers` (constant 0).

    Shapes: x (T, N, ...), cont (T, N)[, x_static (N, ...)][, h_0 and c_0 (1, N, H)] -> h (T, N, H)[, h_T and c_T
    (1, N, H)]. N must be known, unless the states are exposed.

    Raises:
        LayerError, NetError, ShapeError: no num_output, numbers of bottoms and tops or shapes that do not fit.

    Caffe: src/caffe/layers/recurrent_layer.cpp, lstm_layer.cpp, lstm_unit_layer.cpp
    """

    bottoms: Arity = (2, 5)
    tops: Arity = (1, 3)
    states = 2
    flops_per_cell = 11  # 4 gates, tanh, 5 products, a sum

    def run(self, x: Any, cont: Any, static: Any, state: tuple[Any, ...]) -> tuple[tuple[Any, ...], Any]:
        gates = ops.matmul(x, self.W_xc) + self.b_c
        if static is not None:
            gates = gates + ops.matmul(ops.reshape(static, (-1, self.W_xc_static.shape[0])), self.W_xc_static)
        weights = as_tensor(self.W_hc)

        def step(state: Any, now: Any) -> Any:
            (h, c), (gates, cont) = state, now
            c, h = lstm_unit(c, gates + ops.matmul(cont * h, weights), cont)
            return h, c

        return over_time(step, state, (gates, cont))

    def blob_table(self, *shapes: Shape) -> list[Blob]:
        rows = 4 * self.num_output
        hidden = Blob("W_hc", (rows, self.num_output), self.weight_filler, (1, 0))
        return [*self.input_blobs("c", rows, shapes), hidden]
