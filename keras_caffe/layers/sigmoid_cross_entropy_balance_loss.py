"""SigmoidCrossEntropyBalanceLoss (kmaninis/OSVOS-caffe), which is SigmoidCrossEntropyLoss in s9xie/hed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.layers.arguments import flag, number
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.layers.loss import LossLayer
from keras_caffe.layers.loss_bottoms import alike_orders, check_size
from keras_caffe.layout import Order
from keras_caffe.ops.losses import balanced_sigmoid_cross_entropy
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, count, total_count


@serializable
@register_layer("SigmoidCrossEntropyBalanceLoss")
class SigmoidCrossEntropyBalanceLoss(LossLayer):
    """Sigmoid and cross entropy where positives and negatives of an image weigh the same, over the batch size.

    sum of w (max(x, 0) - x t + log(1 + e^-|x|)) / N; w is n / (p + n) where t is 1 and p / (p + n) where it is 0, of
    p ones and n zeros in the image. Other targets do not count, but their scores get sigmoid(x) - t over N, as in the
    forks. An image without ones and zeros makes NaN.

    Args:
        negative_weight: factor on the w of zeros, 0 or more (1); 1.1 in RCF.
        unsure_gradient: whether scores of other targets get that gradient (True); not in RCF.

    Shapes: scores (N, ...), targets of as many values -> ().

    Raises:
        LayerError: a negative weight below 0. ShapeError: the counts differ.

    Caffe: src/caffe/layers/sigmoid_cross_entropy_balance_loss_layer.cpp (kmaninis/OSVOS-caffe; s9xie/hed)
    """

    no_gradient: Sequence[int] = (1,)
    kept_bottoms: Sequence[int] = (0,)

    def __init__(self, negative_weight: float = 1.0, unsure_gradient: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.negative_weight: float = number("negative_weight", negative_weight, 0)
        self.unsure_gradient: bool = flag("unsure_gradient", unsure_gradient)

    def call(self, inputs: Any) -> Any:
        scores, targets = inputs
        return balanced_sigmoid_cross_entropy(scores, targets, self.negative_weight, self.unsure_gradient)

    def check_shapes(self, *shapes: Shape) -> None:
        check_size(count(shapes[1]), count(shapes[0]), "scores and targets must have the same number of values")

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        # As SigmoidCrossEntropyLoss, two comparisons and counts, a product with the weight.
        return 14 * total_count(bottoms[:1])

    @classmethod
    def bottom_orders(cls, layer: Any, bottoms: Sequence[Bottom]) -> list[Order]:
        return alike_orders(bottoms)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        cls.refuse_label_gradient(layer)
        return cls(**kwargs)
