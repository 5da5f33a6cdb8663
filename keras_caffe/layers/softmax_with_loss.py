"""SoftmaxWithLoss (src/caffe/layers/softmax_loss_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.errors import LayerError
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable
from keras_caffe.layers.loss import ClassLossLayer
from keras_caffe.ops.losses import softmax_loss
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, total_count


@serializable
@register_layer("SoftmaxWithLoss")
class SoftmaxWithLoss(ClassLossLayer):
    """Softmax and the log loss of the label: -sum log(max(p[label], FLT_MIN)) / normaliser.

    The gradient is (p - onehot) / normaliser and zero at ignored places; the clamp does not show in it.
    A label whose score is minus infinity makes the loss NaN; Caffe's is clamped.

    Args:
        axis: tensor axis of the classes (-1).
        batch_axes: number of the other axes, from the front, whose product is the batch size of BATCH_SIZE (1).
        ignore_label: places with this label do not count; None = all count.
        normalization: "FULL" (all places), "VALID" (default: those not ignored), "BATCH_SIZE" or "NONE"; at least 1.

    Shapes: scores (..., K, ...), labels (one for each place, in the places' order) -> ().

    Raises:
        ShapeError: another number of labels than places.
        LayerError: a label is out of range (in your own tf.function the loss is NaN).

    Examples:
        >>> round(float(keras_caffe.layers.SoftmaxWithLoss()([np.float32([[0, 0]]), np.float32([1])])), 4)
        0.6931

    Caffe: src/caffe/layers/softmax_loss_layer.cpp
    """

    tops: Arity = (1, 2)
    no_gradient: Sequence[int] = (1,)
    kept_bottoms: Sequence[int] = (0,)

    def call(self, inputs: Any) -> Any:
        scores, labels = inputs
        return softmax_loss(self.classes_last(scores), labels, **self.loss_arguments())

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return 5 * total_count(bottoms[:1])  # maximum, difference, exp, sum, quotient

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        if len(layer.top) > 1:
            # Caffe hands the loss weights on to the softmax inside, where they are one too many: it always refuses.
            raise LayerError(
                "SoftmaxWithLoss cannot have a second top",
                expected="1 top",
                received=f"{len(layer.top)} tops",
                fix="Take the probabilities from a Softmax layer of their own.",
            )
        cls.refuse_label_gradient(layer)
        return cls(**cls.class_arguments(layer, bottoms), **kwargs)
