"""LabelSpecificAdd (happynear/caffe-windows: label_specific_add_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_caffe.layers.arguments import flag, number, optional, whole
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable
from keras_caffe.layers.loss_bottoms import check_size
from keras_caffe.ops.indices import checked_labels
from keras_caffe.ops.losses import integer_labels
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, count


@serializable
@register_layer("LabelSpecificAdd")
class LabelSpecificAdd(CaffeLayer):
    """In training y = x, but x + bias at each sample's label where x > -bias; otherwise y = x. The gradient passes.

    With `bias_base` the bias follows the number t of training passes before this one, which the layer counts:
    bias = min(max(bias_base + (1 + bias_gamma t)^bias_power - 1, bias_min), bias_max).

    Args:
        bias: what is added (0); without effect if there is a bias_base.
        bias_base: the bias at t = 0; None (default): it stays as it is.
        bias_gamma, bias_power: how it grows (0, 1).
        bias_min, bias_max: its limits; the upper one comes last (0, 0).
        iteration: t of the first training pass (0).
        with_bias: a second top has the bias (False).

    Shapes: x (N, ...) in Caffe's order, labels (N; truncated) -> (N, ...)[, (1)].

    Raises:
        ShapeError: not one label for each sample. LayerError: a label is out of range (in your own tf.function it
            counts for nothing).

    Caffe: src/caffe/layers/label_specific_add_layer.cpp (happynear/caffe-windows)
    """

    bottoms: Arity = (2, 2)
    tops: Arity = (1, 2)
    stores = "caffe"
    no_gradient: Sequence[int] = (1,)
    not_forced: Sequence[int] = (1,)
    flops_per_top_value: int | None = 1
    passes: Any

    def __init__(
        self,
        bias: float = 0.0,
        bias_base: float | None = None,
        bias_gamma: float = 0.0,
        bias_power: float = 1.0,
        bias_min: float = 0.0,
        bias_max: float = 0.0,
        iteration: int = 0,
        with_bias: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.bias: float = number("bias", bias)
        self.bias_base: float | None = optional(number, "bias_base", bias_base)
        self.bias_gamma: float = number("bias_gamma", bias_gamma)
        self.bias_power: float = number("bias_power", bias_power)
        self.bias_min: float = number("bias_min", bias_min)
        self.bias_max: float = number("bias_max", bias_max)
        self.iteration: int = whole("iteration", iteration, 0)
        self.with_bias: bool = flag("with_bias", with_bias)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        first = keras.initializers.Constant(self.iteration)
        self.passes = self.add_weight(shape=(), dtype="int", initializer=first, trainable=False, name="passes")

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x, labels = inputs
        bias = self._bias(x.dtype)
        y = self._added(x, labels, bias) if training else x
        if training:
            self.passes.assign(self.passes + 1)
        return [y, ops.reshape(bias, (1,))] if self.with_bias else y

    def _bias(self, dtype: Any) -> Any:
        if self.bias_base is None:
            return ops.cast(self.bias, dtype)
        growth = ops.power(1 + self.bias_gamma * ops.cast(self.passes, "float32"), self.bias_power) - 1
        return ops.cast(ops.minimum(ops.maximum(self.bias_base + growth, self.bias_min), self.bias_max), dtype)

    def _added(self, x: Any, labels: Any, bias: Any) -> Any:
        rows = ops.reshape(x, (ops.shape(x)[0], -1))
        labels = checked_labels(ops.reshape(integer_labels(labels), (-1,)), rows.shape[1])
        hit = (labels[:, None] == ops.arange(ops.shape(rows)[1])) & (rows > -bias)
        return ops.reshape(rows + ops.where(hit, bias, 0), ops.shape(x))

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        check_size(count(shapes[1]), shapes[0][0], "there must be one label for every sample")
        return [shapes[0], (1,)] if self.with_bias else [shapes[0]]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.label_specific_add_param
        names = ("bias", "bias_gamma", "bias_power", "bias_min", "bias_max", "iteration")
        base = param.bias_base if param.HasField("bias_base") else None
        own = {name: getattr(param, name) for name in names}
        return cls(bias_base=base, with_bias=len(layer.top) > 1, **own, **kwargs)
