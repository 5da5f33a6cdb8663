"""MultinomialLogisticLoss (src/caffe/layers/multinomial_logistic_loss_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.layers.loss import LossLayer
from keras_caffe.layers.loss_bottoms import check_rank, check_single, flat
from keras_caffe.ops.losses import multinomial_logistic_loss
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, total_count


@serializable
@register_layer("MultinomialLogisticLoss")
class MultinomialLogisticLoss(LossLayer):
    """Log loss of probabilities: -sum log(max(p[label], 1e-20)) / N, the label counting in the flattened C, H, W.

    Shapes: probabilities (N, C[, H, W]) in Caffe's order, labels (N[, 1, 1, 1]) -> ().

    Raises:
        ShapeError: over 4 axes, more than one label for a sample.
        LayerError: a label is out of range (in your own tf.function the loss is NaN).

    Caffe: src/caffe/layers/multinomial_logistic_loss_layer.cpp
    """

    no_gradient: Sequence[int] = (1,)

    def call(self, inputs: Any) -> Any:
        probabilities, labels = inputs
        return multinomial_logistic_loss(flat(probabilities), labels)

    def check_shapes(self, *shapes: Shape) -> None:
        check_rank(shapes)
        check_single(shapes[1], "the labels")

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return 3 * total_count(bottoms[1:])  # maximum, logarithm, sum

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        cls.refuse_label_gradient(layer)
        return cls(**kwargs)
