"""ReverseTime (senlinuc/caffe_ocr: reverse_time_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import ShapeError
from keras_caffe.layers.arguments import flag
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable
from keras_caffe.layers.loss_bottoms import check_size
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, count


@serializable
@register_layer("ReverseTime")
class ReverseTime(CaffeLayer):
    """The first steps of each sequence in the opposite order: y[t, n] = x[length[n] - 1 - t, n] for t < length[n].

    The steps behind a sequence are copied with `copy_remaining`; without, the fork leaves what was in memory, and here
    they are 0. A length above T counts as T.

    Args:
        copy_remaining: keep the steps behind a sequence (False).

    Shapes: x (T, N, ...) in Caffe's order, lengths (N; truncated) -> (T, N, ...).

    Raises:
        ShapeError: x has fewer than 2 axes, or there is not one length for each sequence.

    Caffe: src/caffe/layers/reverse_time_layer.cpp (senlinuc/caffe_ocr)
    """

    bottoms: Arity = (2, 2)
    stores = "caffe"
    no_gradient: Sequence[int] = (1,)
    not_forced: Sequence[int] = (1,)
    flops_per_top_value: int | None = 0  # it moves values

    def __init__(self, copy_remaining: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.copy_remaining: bool = flag("copy_remaining", copy_remaining)

    def call(self, inputs: Any) -> Any:
        x, lengths = inputs
        steps = ops.shape(x)[0]
        time = ops.arange(steps, dtype="int32")[:, None]
        lengths = ops.minimum(ops.reshape(ops.cast(lengths, "int32"), (1, -1)), steps)
        inside = time < lengths
        rest = (...,) + (None,) * (len(x.shape) - 2)
        y = ops.take_along_axis(x, ops.where(inside, lengths - 1 - time, time)[rest], axis=0)
        return y if self.copy_remaining else ops.where(inside[rest], y, 0)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        x, lengths = shapes
        if len(x) < 2:
            raise ShapeError("the first bottom of ReverseTime needs 2 axes", expected="(T, N, ...)", received=x)
        check_size(count(lengths), x[1], "there must be one length for every sequence")
        return [x]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        return cls(copy_remaining=layer.reverse_time_param.copy_remaining, **kwargs)
