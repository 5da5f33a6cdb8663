"""HingeLoss (src/caffe/layers/hinge_loss_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.layers.arguments import one_of
from keras_caffe.layers.base import Bottom, CaffeLayer, enum_name, serializable
from keras_caffe.layers.loss import LossLayer
from keras_caffe.layers.loss_bottoms import check_rank, flat
from keras_caffe.ops.losses import hinge_loss
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, total_count


@serializable
@register_layer("HingeLoss")
class HingeLoss(LossLayer):
    """One-against-all hinge loss: sum h / N (L1) or sum h^2 / N (L2), h = max(0, 1 - s x), s = 1 at the label, else -1.

    A score of NaN makes the loss NaN; Caffe counts 0 for it.

    Args:
        norm: "L1" (default) or "L2".

    Shapes: scores (N, C[, H, W]) in Caffe's order, classes counted in the flattened C, H, W; labels (N, ...) -> ().

    Raises:
        ShapeError: over 4 axes.
        LayerError: a label is out of range (in your own tf.function the loss is NaN).

    Caffe: src/caffe/layers/hinge_loss_layer.cpp
    """

    no_gradient: Sequence[int] = (1,)
    kept_bottoms: Sequence[int] = (0,)

    def __init__(self, norm: str = "L1", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.norm: str = one_of("norm", norm, ("L1", "L2"))

    def call(self, inputs: Any) -> Any:
        scores, labels = inputs
        return hinge_loss(flat(scores), labels, self.norm)

    def check_shapes(self, *shapes: Shape) -> None:
        check_rank(shapes[:1])

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return (4 if self.norm == "L1" else 5) * total_count(bottoms[:1])  # product, difference, maximum[, square], sum

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        cls.refuse_label_gradient(layer)
        return cls(norm=enum_name(layer.hinge_loss_param, "norm"), **kwargs)
