"""TripletLoss (happynear/caffe-windows: triplet_loss_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.layers.arguments import number
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable
from keras_caffe.layers.loss import LossLayer
from keras_caffe.layers.loss_bottoms import check_rank, check_single, flat
from keras_caffe.ops.distances import triplet_loss
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, same_shape, total_count


@serializable
@register_layer("TripletLoss")
class TripletLoss(LossLayer):
    """sum max(0, margin + |a - p|^2 - |a - n|^2) / (2 N): an anchor's positive shall be nearer than its negative.

    Other forks have layers of this name with other bottoms; they are refused for their number.

    Args:
        margin: by how much nearer, in squared distances (1).

    Shapes: a, p and n (N, C[, 1, 1]) -> ().

    Raises:
        ShapeError: other shapes.

    Caffe: src/caffe/layers/triplet_loss_layer.cpp (happynear/caffe-windows)
    """

    bottoms: Arity = (3, 3)
    not_forced: Sequence[int] = ()
    kept_bottoms: Sequence[int] = (0, 1, 2)

    def __init__(self, margin: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.margin: float = number("margin", margin)

    def call(self, inputs: Any) -> Any:
        return triplet_loss(*map(flat, inputs), margin=self.margin)

    def check_shapes(self, *shapes: Shape) -> None:
        check_rank(shapes)
        for shape in shapes:
            check_single(shape, "the features", first=2)
            same_shape(shapes[0], shape, "anchors, positives and negatives must have one shape")

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return 6 * total_count(bottoms[:1])  # two differences, squares, sums

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        return cls(margin=layer.triplet_loss_param.margin, **kwargs)
