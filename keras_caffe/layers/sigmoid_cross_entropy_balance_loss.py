"""SigmoidCrossEntropyBalanceLoss (kmaninis/OSVOS-caffe), which is SigmoidCrossEntropyLoss in s9xie/hed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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

    Shapes: scores (N, ...), targets of as many values -> ().

    Raises:
        ShapeError: the counts differ.

    Caffe: src/caffe/layers/sigmoid_cross_entropy_balance_loss_layer.cpp (kmaninis/OSVOS-caffe; s9xie/hed)
    """

    no_gradient: Sequence[int] = (1,)
    kept_bottoms: Sequence[int] = (0,)

    def call(self, inputs: Any) -> Any:
        return balanced_sigmoid_cross_entropy(*inputs)

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
