"""SoftmaxWithLoss (src/caffe/layers/softmax_loss_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers.arguments import numbers, optional
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable
from keras_caffe.layers.loss import ClassLossLayer
from keras_caffe.ops.losses import softmax_loss
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, total_count


@serializable
@register_layer("SoftmaxWithLoss")
class SoftmaxWithLoss(ClassLossLayer):
    """Softmax and the log loss of the label: -sum w[label] log(max(p[label], FLT_MIN)) / normaliser.

    The gradient is w[label] (p - onehot) / normaliser and zero at ignored places; the clamp does not show in it.
    A label whose score is minus infinity makes the loss NaN; Caffe's is clamped.

    Args:
        axis: tensor axis of the classes (-1).
        batch_axes: number of the other axes, from the front, whose product is the batch size of BATCH_SIZE (1).
        ignore_label: places with this label do not count; None = all count.
        normalization: "FULL" (all places), "VALID" (default: those not ignored), "BATCH_SIZE" or "NONE"; at least 1.
        class_weighting: w, a weight for each class, as in SegNet; None (default): all 1. The normaliser counts places.

    Shapes: scores (..., K, ...), labels (one for each place, in the places' order) -> ().

    Raises:
        ShapeError: another number of labels than places, or of weights than classes.
        LayerError: a label is out of range (in your own tf.function the loss is NaN).

    Examples:
        >>> round(float(keras_caffe.layers.SoftmaxWithLoss()([np.float32([[0, 0]]), np.float32([1])])), 4)
        0.6931

    Caffe: src/caffe/layers/softmax_loss_layer.cpp; class_weighting: the same file of alexgkendall/caffe-segnet
    """

    tops: Arity = (1, 2)
    no_gradient: Sequence[int] = (1,)
    kept_bottoms: Sequence[int] = (0,)

    def __init__(
        self,
        axis: int = -1,
        batch_axes: int = 1,
        ignore_label: int | None = None,
        normalization: str = "VALID",
        class_weighting: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(axis, batch_axes, ignore_label, normalization, **kwargs)
        self.class_weighting: tuple[float, ...] | None = optional(numbers, "class_weighting", class_weighting)

    def call(self, inputs: Any) -> Any:
        scores, labels = inputs
        weights = self.class_weighting
        return softmax_loss(self.classes_last(scores), labels, class_weighting=weights, **self.loss_arguments())

    def check_shapes(self, *shapes: Shape) -> None:
        super().check_shapes(*shapes)
        classes, weights = shapes[0][self.axis], self.class_weighting
        if weights is not None and classes not in (None, len(weights)):
            raise ShapeError("class_weighting needs one weight for each class", expected=classes, received=len(weights))

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
        weighs, weights = layer.loss_param.weight_by_label_freqs, list(layer.loss_param.class_weighting)
        return cls(class_weighting=weights if weighs else None, **cls.class_arguments(layer, bottoms), **kwargs)
