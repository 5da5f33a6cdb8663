"""SigmoidCrossEntropyLoss (src/caffe/layers/sigmoid_cross_entropy_loss_layer.cpp)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from keras_caffe.errors import CaffeWarning, Option
from keras_caffe.layers.arguments import one_of, optional, whole
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.layers.context import load_context
from keras_caffe.layers.loss import LossLayer, loss_arguments
from keras_caffe.layers.loss_bottoms import alike_orders, check_size
from keras_caffe.layers.sigmoid_cross_entropy_balance_loss import SigmoidCrossEntropyBalanceLoss
from keras_caffe.layout import Order
from keras_caffe.ops.losses import NORMALIZATIONS, sigmoid_cross_entropy
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, count, total_count

HOMES = {"fcn": "s9xie/hed", "rcf": "yun-liu/rcf"}
OTHERS = {"fcn": "rcf", "rcf": "fcn"}


@serializable
@register_layer("SigmoidCrossEntropyLoss")
class SigmoidCrossEntropyLoss(LossLayer):
    """Sigmoid and cross entropy of each element: sum (max(x, 0) - x t + log(1 + e^-|x|)) / normaliser.

    In the dialects "fcn" and "rcf" files mean `SigmoidCrossEntropyBalanceLoss`, as s9xie/hed and yun-liu/rcf define
    this name; a warning says so.

    Args:
        ignore_label: elements whose target, truncated towards zero, is this do not count (0 ignores 0.3 and -0.9 too).
            None = all count.
        normalization: "FULL" (all elements), "VALID" (those not ignored), "BATCH_SIZE" (default: N) or "NONE"; at
            least 1.

    Shapes: scores (N, ...), targets of as many values -> ().

    Raises:
        ShapeError: the counts differ.

    Caffe: src/caffe/layers/sigmoid_cross_entropy_loss_layer.cpp
    """

    no_gradient: Sequence[int] = (1,)
    kept_bottoms: Sequence[int] = (0,)

    def __init__(self, ignore_label: int | None = None, normalization: str = "BATCH_SIZE", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ignore_label: int | None = optional(whole, "ignore_label", ignore_label)
        self.normalization: str = one_of("normalization", normalization, NORMALIZATIONS)

    def call(self, inputs: Any) -> Any:
        scores, targets = inputs
        return sigmoid_cross_entropy(scores, targets, ignore_label=self.ignore_label, normalization=self.normalization)

    def check_shapes(self, *shapes: Shape) -> None:
        check_size(count(shapes[1]), count(shapes[0]), "scores and targets must have the same number of values")

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        # Maximum, product, difference, magnitude, exp, 1 + exp, logarithm, their sum, the sum of all.
        return 9 * total_count(bottoms[:1])

    @classmethod
    def bottom_orders(cls, layer: Any, bottoms: Sequence[Bottom]) -> list[Order]:
        return alike_orders(bottoms)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        cls.refuse_label_gradient(layer)
        fork = load_context().fork
        if fork in ("fcn", "rcf"):
            what = f"{layer.name!r} weighs positives and negatives of an image the same, as {HOMES[fork]} does"
            other = Option("fork", OTHERS[fork], f"if the net was trained in {HOMES[OTHERS[fork]]}, whose loss differs")
            fix = (
                Option("fork", "bvlc", "if the net was trained without that, where each element weighs the same"),
                other,
            )
            warnings.warn(CaffeWarning(what, fix=fix), stacklevel=2)
            if fork == "rcf":
                return SigmoidCrossEntropyBalanceLoss(negative_weight=1.1, unsure_gradient=False, **kwargs)
            return SigmoidCrossEntropyBalanceLoss(**kwargs)
        # Unlike the other losses, and unlike the message, this one divides by the batch size unless told otherwise.
        return cls(**loss_arguments(layer, default="BATCH_SIZE"), **kwargs)
