"""FocalLoss (happynear/caffe-windows: focal_loss_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.layers.arguments import number, one_of
from keras_caffe.layers.base import Bottom, CaffeLayer, enum_name, serializable
from keras_caffe.layers.loss import ClassLossLayer
from keras_caffe.ops.losses import focal_loss
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, total_count


@serializable
@register_layer("FocalLoss")
class FocalLoss(ClassLossLayer):
    """Softmax loss that counts places less the surer their label is: -sum q log(max(p, FLT_MIN)) / normaliser.

    p is the label's probability, q = (alpha - p)^gamma, with ONEADDP (alpha + p)^gamma: alpha is no factor. Where
    alpha < p, a gamma that is not whole gives NaN. The gradient is the fork's: the derivative for alpha = 1 alone.

    Args:
        type: "ORIGIN" (default), "LINEAR" (the same) or "ONEADDP".
        gamma: exponent, without unit (2).
        alpha: what p is taken from or added to, without unit (1).
        axis, batch_axes, ignore_label, normalization: as of `SoftmaxWithLoss`.

    Shapes: scores (..., K, ...), labels (one for each place, in the places' order) -> ().

    Raises:
        ShapeError: another number of labels than places.
        LayerError: a label is out of range (in your own tf.function the loss is NaN).

    Caffe: src/caffe/layers/focal_loss_layer.cpp (happynear/caffe-windows)
    """

    no_gradient: Sequence[int] = (1,)
    kept_bottoms: Sequence[int] = (0,)

    def __init__(self, type: str = "ORIGIN", gamma: float = 2.0, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.type: str = one_of("type", type, ("ORIGIN", "LINEAR", "ONEADDP"))
        self.gamma: float = number("gamma", gamma)
        self.alpha: float = number("alpha", alpha)

    def call(self, inputs: Any) -> Any:
        scores, labels = inputs
        return focal_loss(
            self.classes_last(scores),
            labels,
            gamma=self.gamma,
            alpha=self.alpha,
            sign=1 if self.type == "ONEADDP" else -1,
            **self.loss_arguments(),
        )

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return 5 * total_count(bottoms[:1])  # maximum, difference, exp, sum, quotient

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        cls.refuse_label_gradient(layer)
        param = layer.focal_loss_param
        own = {"type": enum_name(param, "type"), "gamma": param.gamma, "alpha": param.alpha}
        return cls(**own, **cls.class_arguments(layer, bottoms), **kwargs)
