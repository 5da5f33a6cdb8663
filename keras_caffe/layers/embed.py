"""Embed (src/caffe/layers/embed_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe import fillers
from keras_caffe.layers.arguments import filler, flag, whole
from keras_caffe.layers.base import Blob, Bottom, CaffeLayer, required, serializable
from keras_caffe.layout import Order
from keras_caffe.ops.indices import checked_indices
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("Embed")
class Embed(CaffeLayer):
    """y[..., :] = W[x[...], :] + b: a learned vector for each index.

    Args:
        num_output: length of the vectors.
        input_dim: number of vectors.
        bias_term: add one bias to all vectors (True).
        weight_filler, bias_filler: see `keras_caffe.fillers` (0).

    Shapes: indices of any shape, as floats that are truncated -> the same with a last axis of num_output.

    Raises:
        LayerError: num_output or input_dim is missing; an index is out of range, once the layer is called.

    Caffe: src/caffe/layers/embed_layer.cpp
    """

    flops_per_top_value: int | None = 0  # it looks rows up
    no_gradient: Sequence[int] = (0,)

    def __init__(
        self,
        num_output: int,
        input_dim: int,
        bias_term: bool = True,
        weight_filler: fillers.Filler = "constant",
        bias_filler: fillers.Filler = "constant",
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)  # Half precision has no room for the indices.
        self.num_output: int = whole("num_output", num_output, 1)
        self.input_dim: int = whole("input_dim", input_dim, 1)
        self.bias_term: bool = flag("bias_term", bias_term)
        self.weight_filler: fillers.Filler = filler("weight_filler", weight_filler)
        self.bias_filler: fillers.Filler = filler("bias_filler", bias_filler if self.bias_term else "constant")

    def call(self, inputs: Any) -> Any:
        indices = checked_indices(inputs, self.input_dim, "an index", bottom=0)
        y = ops.take(self.kernel, indices, axis=0)
        y = y + self.bias if self.bias_term else y
        return ops.cast(y, self.compute_dtype)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        return [(*shapes[0], self.num_output)]

    def top_orders(self, orders: Sequence[Order], ranks: Sequence[int]) -> list[Order]:
        return [(*orders[0], len(orders[0]))]

    def blob_table(self, *shapes: Shape) -> list[Blob]:
        kernel = Blob("kernel", (self.input_dim, self.num_output), self.weight_filler)
        return [kernel, Blob("bias", (self.num_output,), self.bias_filler)] if self.bias_term else [kernel]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.embed_param
        return cls(
            num_output=required(param, "num_output"),
            input_dim=required(param, "input_dim"),
            bias_term=param.bias_term,
            weight_filler=fillers.from_caffe(param.weight_filler),
            bias_filler=fillers.from_caffe(param.bias_filler),
            **kwargs,
        )
