"""ContinuationIndicator (forks: continuation_indicator_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError
from keras_caffe.layers.arguments import optional, whole
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, required, serializable
from keras_caffe.layout import Order, caffe_order
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, canonical_axis


@serializable
@register_layer("ContinuationIndicator")
class ContinuationIndicator(CaffeLayer):
    """cont_t = 0 at t = 0 and 1 after it: what a recurrent layer takes for sequences that all begin with the batch.

    Args:
        time_step: T, the number of times.
        batch_size: N, the number of sequences; None (default): the bottom's size along `axis`.
        axis: tensor axis of the sequences in the bottom (0).

    Shapes: no bottom, or one (...) whose values do not matter -> (T, N) in Caffe's order. As a Keras layer it is called
    on any tensor.

    Raises:
        LayerError: no time_step; no batch_size and no bottom, or both; `flag`, which lets sequences go on.

    Caffe: src/caffe/layers/continuation_indicator_layer.cpp (several forks)
    """

    bottoms: Arity = (0, 1)
    flops_per_top_value: int | None = 0
    has_gradient = False

    def __init__(self, time_step: int, batch_size: int | None = None, axis: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.time_step: int = whole("time_step", time_step, 1)
        self.axis: int = whole("axis", axis)
        self.batch_size: int | None = optional(whole, "batch_size", batch_size, 1)

    def call(self, inputs: Any) -> Any:
        sequences = self.batch_size or ops.shape(inputs)[self.axis]
        times = ops.cast(ops.arange(self.time_step) > 0, self.compute_dtype)
        return ops.broadcast_to(ops.expand_dims(times, 1), (self.time_step, sequences))

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        sequences = self.batch_size or shapes[0][canonical_axis(self.axis, len(shapes[0]))]
        return [(self.time_step, sequences)]

    def top_orders(self, orders: Sequence[Order], ranks: Sequence[int]) -> list[Order]:
        return [caffe_order(2)]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.continuation_indicator_param
        if bool(param.batch_size) == bool(bottoms):
            raise LayerError(
                "the number of sequences is given twice" if bottoms else "batch_size is missing or 0",
                expected="batch_size, or a bottom that has it",
                received=f"{len(bottoms)} bottoms and batch_size {param.batch_size}",
            )
        if param.flag:
            raise LayerError("flag makes sequences continue from batch to batch", fix="Feed the indicator as an input.")
        axis = bottoms[0].axis(param.axis) if bottoms else 0
        return cls(time_step=required(param, "time_step"), batch_size=param.batch_size or None, axis=axis, **kwargs)
