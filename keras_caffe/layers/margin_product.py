"""What MarginInnerProduct and LargeMarginInnerProduct have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_caffe import fillers
from keras_caffe.errors import LayerError
from keras_caffe.layers.arguments import filler, number, one_of, whole
from keras_caffe.layers.base import Arity, Blob, CaffeLayer, enum_name, required
from keras_caffe.layers.loss_bottoms import check_size
from keras_caffe.ops.margins import MARGINS
from keras_caffe.shapes import Shape, canonical_axis, count, known, total_count


class MarginProduct(CaffeLayer):
    """Base of the inner products with an angular margin; a class says how it scores samples (`product`).

    Each forward pass, in training and in inference, counts: pass number t has lambda = max(base (1 + gamma t)^-power,
    lambda_min), and the first one is t = iteration + 1.
    """

    bottoms: Arity = (2, 2)
    tops: Arity = (2, 2)
    stores = "caffe"
    no_gradient: Sequence[int] = (1,)
    not_forced: Sequence[int] = (1,)
    passes: Any

    def __init__(
        self,
        num_output: int,
        type: str = "SINGLE",
        axis: int = 1,
        base: float = 1.0,
        gamma: float = 0.0,
        power: float = 1.0,
        iteration: int = 0,
        lambda_min: float = 0.0,
        weight_filler: fillers.Filler = "constant",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_output: int = whole("num_output", num_output, 1)
        self.type: str = one_of("type", type, MARGINS)
        self.axis: int = whole("axis", axis)
        self.iteration: int = whole("iteration", iteration, 0)
        if self.axis < 1:
            raise LayerError("the features cannot include the batch axis", expected="axis of 1 or more", received=axis)
        self.base: float = number("base", base)
        self.gamma: float = number("gamma", gamma)
        self.power: float = number("power", power)
        self.lambda_min: float = number("lambda_min", lambda_min)
        self.weight_filler: fillers.Filler = filler("weight_filler", weight_filler)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        first = keras.initializers.Constant(self.iteration)
        self.passes = self.add_weight(shape=(), dtype="int", initializer=first, trainable=False, name="passes")

    def call(self, inputs: Any) -> Any:
        features, labels = inputs
        x = ops.reshape(features, (-1, self.kernel.shape[1]))
        self.passes.assign(self.passes + 1)
        growth = ops.power(1 + self.gamma * ops.cast(self.passes, "float32"), -self.power)
        strength = ops.cast(ops.maximum(self.base * growth, self.lambda_min), x.dtype)
        scores = ops.reshape(self.product(x, labels, strength), (*ops.shape(features)[: self.axis], self.num_output))
        return [scores, ops.reshape(strength, (1,))]

    def product(self, x: Any, labels: Any, strength: Any) -> Any:
        """The scores of (M, K) features, (M, N)."""
        raise NotImplementedError

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        x, labels = shapes
        canonical_axis(self.axis, len(x))
        check_size(count(labels), count(x[: self.axis]), "there must be one label for every sample")
        return [(*x[: self.axis], self.num_output), (1,)]

    def blob_table(self, *shapes: Shape) -> list[Blob]:
        return [Blob("kernel", (self.num_output, count(known(shapes[0][self.axis :]))), self.weight_filler)]

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return 2 * count(known(bottoms[0][self.axis :])) * total_count(tops[:1])

    @classmethod
    def margin_arguments(cls, param: Any, rank: int) -> dict[str, Any]:
        """The constructor's arguments that a message holds."""
        names = ("base", "gamma", "power", "iteration", "lambda_min")
        return {
            "num_output": required(param, "num_output"),
            "type": enum_name(param, "type"),
            "axis": canonical_axis(param.axis, rank),
            "weight_filler": fillers.from_caffe(param.weight_filler),
            **{name: getattr(param, name) for name in names},
        }
