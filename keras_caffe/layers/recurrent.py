"""What LSTM and RNN have in common (src/caffe/layers/recurrent_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from keras import ops

from keras_caffe import fillers
from keras_caffe.errors import NetError, ShapeError
from keras_caffe.layers.arguments import filler, flag, whole
from keras_caffe.layers.base import Blob, Bottom, CaffeLayer, required, shape_list
from keras_caffe.shapes import Shape, count, known, same_shape, total_count


class Recurrent(CaffeLayer):
    """Base of the recurrent layers; a class says how many states it has (`states`), its blobs and its step."""

    stores = "caffe"
    states: ClassVar[int] = 1
    no_gradient: Sequence[int] = (1,)
    not_forced: Sequence[int] = (1,)
    flops_per_cell: ClassVar[int]  # of one time step, beside the weights and biases
    carried: list[Any]

    def __init__(
        self,
        num_output: int,
        expose_hidden: bool = False,
        static_input: bool = False,
        weight_filler: fillers.Filler = "constant",
        bias_filler: fillers.Filler = "constant",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_output: int = whole("num_output", num_output, 1)
        self.expose_hidden: bool = flag("expose_hidden", expose_hidden)
        self.static_input: bool = flag("static_input", static_input)
        self.weight_filler: fillers.Filler = filler("weight_filler", weight_filler)
        self.bias_filler: fillers.Filler = filler("bias_filler", bias_filler)

    def build(self, input_shape: Any) -> None:
        shapes = shape_list(input_shape)
        super().build(shapes)
        names = () if self.expose_hidden else ("h", "c")[: self.states]
        shape = (shapes[0][1], self.num_output)
        self.carried = [self.add_weight(shape=shape, initializer="zeros", trainable=False, name=n) for n in names]

    def reset_state(self) -> None:
        """Forgets what the last forward pass left behind: the next one starts from zeros."""
        for variable in self.carried:
            variable.assign(ops.zeros_like(variable))

    def call(self, inputs: Any) -> Any:
        x, cont, *rest = inputs
        static = rest.pop(0) if self.static_input else None
        x = ops.reshape(x, (*ops.shape(x)[:2], count(x.shape[2:])))
        last, tops = self.run(x, ops.expand_dims(ops.stop_gradient(cont), -1), static, self._first(rest))
        if not self.expose_hidden:
            for variable, value in zip(self.carried, last, strict=True):
                variable.assign(ops.cast(value, variable.dtype))
            return tops
        # Caffe shares the values of the exposed states, not their gradients.
        return [tops, *(ops.expand_dims(ops.stop_gradient(value), 0) for value in last)]

    def _first(self, hidden: Sequence[Any]) -> tuple[Any, ...]:
        states = [h[0] for h in hidden] if self.expose_hidden else self.carried
        # PyTorch assigns in place: the pass goes on from a copy.
        return tuple(ops.stop_gradient(ops.cast(ops.copy(state), self.compute_dtype)) for state in states)

    def run(self, x: Any, cont: Any, static: Any, state: tuple[Any, ...]) -> tuple[tuple[Any, ...], Any]:
        """The last state, and the first top (T, N, H)."""
        raise NotImplementedError

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        x = shapes[0]
        if len(x) < 3:
            raise ShapeError("the first bottom needs at least 3 axes", expected="(T, N, ...)", received=x)
        time, batch = x[:2]
        if batch is None and not self.expose_hidden:
            raise ShapeError("a layer that carries its state over needs to know the number of streams", received=x)
        static = [(batch, *self._static_shape(shapes)[1:])] if self.static_input else []
        hidden = [(1, batch, self.num_output)] * (self.states if self.expose_hidden else 0)
        for number, want in enumerate([(time, batch), *static, *hidden], 1):
            same_shape(want, shapes[number], f"bottom {number} does not fit the first one")
        return [(time, batch, self.num_output), *hidden]

    def _static_shape(self, shapes: Sequence[Shape]) -> Shape:
        if len(shapes[2]) < 2:
            raise ShapeError("the static input needs at least 2 axes", expected="(N, ...)", received=shapes[2])
        return shapes[2]

    def input_blobs(self, name: str, rows: int, shapes: Sequence[Shape]) -> list[Blob]:
        """Weights and bias for the input, and weights for the static one."""
        sizes = {f"W_x{name}": shapes[0][2:]}
        if self.static_input:
            sizes[f"W_x{name}_static"] = shapes[2][1:]
        first, *static = (Blob(n, (rows, count(known(s))), self.weight_filler, (1, 0)) for n, s in sizes.items())
        return [first, Blob(f"b_{name}", (rows,), self.bias_filler), *static]

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        """Every weight and bias once for each time step and stream, the static ones once for each stream."""
        total = self.flops_per_cell * total_count(tops[:1])
        for blob in self.blob_table(*bottoms):
            rows = bottoms[0][1:2] if blob.name.endswith("_static") else bottoms[0][:2]
            total += len(blob.shape) * total_count([blob.shape]) * total_count([rows])  # a bias is added only
        return total

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.recurrent_param
        hidden = cls.states * param.expose_hidden
        if len(bottoms) - hidden not in (2, 3):
            raise NetError("wrong number of bottoms", expected=f"{2 + hidden} or {3 + hidden}", received=len(bottoms))
        if len(layer.top) != 1 + hidden:
            raise NetError("wrong number of tops", expected=1 + hidden, received=len(layer.top))
        return cls(
            num_output=required(param, "num_output"),
            expose_hidden=param.expose_hidden,
            static_input=len(bottoms) - hidden == 3,
            weight_filler=fillers.from_caffe(param.weight_filler),
            bias_filler=fillers.from_caffe(param.bias_filler),
            **kwargs,
        )
