"""Lstm (junhyukoh/caffe-lstm and senlinuc/caffe_ocr, src/caffe/layers/lstm_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe import fillers
from keras_caffe.errors import ShapeError
from keras_caffe.layers.arguments import filler, number, optional, whole
from keras_caffe.layers.base import Arity, Blob, Bottom, CaffeLayer, required, serializable, shape_list
from keras_caffe.layers.loss_bottoms import check_size
from keras_caffe.ops.recurrent import clipped_gradient, lstm_unit, over_time, state_product
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, count, known, total_count


@serializable
@register_layer("Lstm")
class Lstm(CaffeLayer):
    """Long short-term memory of the forks before Caffe had its LSTM: one weight blob for the input, one for the state.

    [i, f, o, g] = W_x x_t + b + cont_t W_h h_{t-1}, sigmoid on i, f, o and tanh on g; c_t = cont_t f c_{t-1} + i g;
    h_t = o tanh(c_t). Without a second bottom each pass starts from zeros. With one, cont = 0 begins a new sequence,
    and h and c at the end of a pass are the start of the next one; no gradient flows back there.

    As in the forks, the gradient of W_h takes each h_{t-1} whatever cont_t is, and of the carried state that of the
    first stream alone. The flag of step t and stream n is number t N + n; caffe_ocr reads number t + n, which is the
    same for one stream.

    Args:
        num_output: H, the number of cells, at least 1.
        clipping_threshold: the gradients of i, f, o and g before their sigmoids are cut to this; 0 (default): as is.
        batch_size: N where the steps of all streams stand on one axis, as in junhyukoh's; None (default): they do not.
        weight_filler, bias_filler: see `keras_caffe.fillers` (constant 0).

    Shapes: x (T, N, ...)[, cont with T N values] -> (T, N, H); with batch_size x (T N, ...) -> (T N, H).

    Raises:
        LayerError: no num_output. ShapeError: steps that batch_size does not divide, another number of flags.

    Caffe: src/caffe/layers/lstm_layer.cpp (junhyukoh/caffe-lstm; senlinuc/caffe_ocr)
    """

    bottoms: Arity = (1, 2)
    stores = "caffe"
    no_gradient: Sequence[int] = (1,)
    not_forced: Sequence[int] = (1,)
    carried: list[Any]

    def __init__(
        self,
        num_output: int,
        clipping_threshold: float = 0.0,
        batch_size: int | None = None,
        weight_filler: fillers.Filler = "constant",
        bias_filler: fillers.Filler = "constant",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_output: int = whole("num_output", num_output, 1)
        self.clipping_threshold: float = number("clipping_threshold", clipping_threshold)
        self.batch_size: int | None = optional(whole, "batch_size", batch_size, 1)
        self.weight_filler: fillers.Filler = filler("weight_filler", weight_filler)
        self.bias_filler: fillers.Filler = filler("bias_filler", bias_filler)

    def build(self, input_shape: Any) -> None:
        shapes = shape_list(input_shape)
        super().build(shapes)
        names = ("h", "c") if len(shapes) > 1 else ()
        shape = (self._streams(shapes[0]), self.num_output)
        self.carried = [self.add_weight(shape=shape, initializer="zeros", trainable=False, name=n) for n in names]

    def reset_state(self) -> None:
        """Forgets what the last forward pass left behind: the next one starts from zeros."""
        for variable in self.carried:
            variable.assign(ops.zeros_like(variable))

    def call(self, inputs: Any) -> Any:
        x, *cont = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        streams = self._streams(x.shape) or ops.shape(x)[1]
        steps = ops.reshape(x, (-1, streams, self.W_x.shape[0]))
        first = ops.cast(ops.arange(ops.shape(steps)[0])[:, None, None] == 0, x.dtype)
        flags = ops.stop_gradient(ops.reshape(cont[0], (-1, streams, 1))) if cont else 1 - first
        counted = 1 - first * ops.cast(ops.arange(streams)[:, None] > 0, x.dtype)
        # PyTorch assigns in place: the pass goes on from a copy.
        state = tuple(ops.stop_gradient(ops.cast(ops.copy(v), x.dtype)) for v in self.carried)
        last, tops = self._run(steps, flags, counted, state or (ops.zeros((streams, self.num_output), x.dtype),) * 2)
        for variable, value in zip(self.carried, last, strict=False):
            variable.assign(ops.cast(value, variable.dtype))
        return ops.reshape(tops, (-1, self.num_output)) if self.batch_size else tops

    def _run(self, x: Any, flags: Any, counted: Any, state: Any) -> Any:
        weights = ops.convert_to_tensor(self.W_h)

        def step(state: Any, now: Any) -> Any:
            (h, c), (gates, cont, counts) = state, now
            gates = clipped_gradient(gates + state_product(h, weights, cont, counts), self.clipping_threshold)
            c, h = lstm_unit(c, gates, cont)
            return h, c

        gates = ops.matmul(x, self.W_x) + self.b
        return over_time(step, state, (gates, ops.broadcast_to(flags, (*ops.shape(gates)[:2], 1)), counted))

    def _streams(self, x: Shape) -> int | None:
        return self.batch_size or x[1]

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        x, *cont = shapes
        if len(x) < (2 if self.batch_size else 3):
            raise ShapeError("the first bottom has too few axes", expected="(T, N, ...)", received=x)
        if cont:
            if self._streams(x) is None:
                raise ShapeError("a layer that carries its state over needs to know the number of streams", received=x)
            check_size(count(cont[0]), count(x[: 1 if self.batch_size else 2]), "there must be one flag for each step")
        if not self.batch_size:
            return [(*x[:2], self.num_output)]
        if x[0] is not None and x[0] % self.batch_size:
            raise ShapeError(f"batch_size {self.batch_size} does not divide the steps", received=x)
        return [(x[0], self.num_output)]

    def blob_table(self, *shapes: Shape) -> list[Blob]:
        size = count(known(shapes[0][1 if self.batch_size else 2 :]))
        rows = 4 * self.num_output
        return [
            Blob("W_x", (rows, size), self.weight_filler, (1, 0)),
            Blob("W_h", (rows, self.num_output), self.weight_filler, (1, 0)),
            Blob("b", (rows,), self.bias_filler),
        ]

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        blobs = self.blob_table(*bottoms)
        cells = total_count(tops)  # 4 gates, tanh, 5 products and a sum for each, and every weight for each step
        return 11 * cells + sum(len(b.shape) * total_count([b.shape]) for b in blobs) * cells // self.num_output

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.lstm_param
        joined = param.HasField("batch_size") or bottoms[0].rank == 2  # only junhyukoh's code reads it
        return cls(
            required(param, "num_output"),
            param.clipping_threshold,
            param.batch_size if joined else None,
            fillers.from_caffe(param.weight_filler),
            fillers.from_caffe(param.bias_filler),
            **kwargs,
        )
