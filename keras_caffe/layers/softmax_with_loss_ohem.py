"""SoftmaxWithLossOHEM (microsoft/caffe for R-FCN, src/caffe/layers/softmax_loss_ohem_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.layers.arguments import whole
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable
from keras_caffe.layers.loss import ClassLossLayer
from keras_caffe.layout import Order, caffe_order
from keras_caffe.ops.losses import normalizer, softmax_losses
from keras_caffe.ops.softmax import softmax
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, total_count


@serializable
@register_layer("SoftmaxWithLossOHEM")
class SoftmaxWithLossOHEM(ClassLossLayer):
    """SoftmaxWithLoss that also gives the probabilities and the loss of each place, by which hard examples are chosen.

    The loss and its gradient are those of SoftmaxWithLoss; the further tops have none. The loss of an ignored place
    is 0.

    Args:
        axis, batch_axes, ignore_label, normalization: as in SoftmaxWithLoss.
        more_tops: how many of the probabilities and the losses of the places are tops, too: 0 (default) to 2.

    Shapes: scores (..., K, ...), labels (one for each place, in the places' order) -> (), the scores', the labels'.

    Raises:
        ShapeError: another number of labels than places.
        LayerError: a label is out of range (in your own tf.function the loss is NaN); normalization PRE_FIXED.

    Caffe: src/caffe/layers/softmax_loss_ohem_layer.cpp (microsoft/caffe)
    """

    tops: Arity = (1, 3)
    no_gradient: Sequence[int] = (1,)
    kept_bottoms: Sequence[int] = (0,)

    def __init__(
        self,
        axis: int = -1,
        batch_axes: int = 1,
        ignore_label: int | None = None,
        normalization: str = "VALID",
        more_tops: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(axis, batch_axes, ignore_label, normalization, **kwargs)
        self.more_tops: int = whole("more_tops", more_tops, 0, 2)

    def call(self, inputs: Any) -> Any:
        scores, labels = inputs
        losses, valid = softmax_losses(self.classes_last(scores), labels, self.ignore_label)
        loss = ops.sum(losses) / normalizer(self.normalization, valid, self.batch_axes)
        more = softmax(scores, self.axis), ops.reshape(losses, ops.shape(labels))
        return [loss, *map(ops.stop_gradient, more[: self.more_tops])] if self.more_tops else loss

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        return [*super().top_shapes(*shapes), *shapes[: self.more_tops]]

    def top_orders(self, orders: Sequence[Order], ranks: Sequence[int]) -> list[Order]:
        return [caffe_order(0), *orders[: self.more_tops]]

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return 5 * total_count(bottoms[:1])  # maximum, difference, exp, sum, quotient

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        cls.refuse_label_gradient(layer)
        return cls(**cls.class_arguments(layer, bottoms), more_tops=len(layer.top) - 1, **kwargs)
