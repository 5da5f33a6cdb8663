"""EuclideanLoss (src/caffe/layers/euclidean_loss_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.layers.base import Bottom, serializable
from keras_caffe.layers.loss import LossLayer
from keras_caffe.layers.loss_bottoms import alike_orders, check_rank, check_size
from keras_caffe.layout import Order
from keras_caffe.ops.distances import euclidean_loss
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, count, total_count


@serializable
@register_layer("EuclideanLoss")
class EuclideanLoss(LossLayer):
    """sum (a - b)^2 / (2 N); both bottoms get a gradient. N is the batch size alone, whatever the other axes.

    Shapes: a (N, ...), b (N, ...) of as many values -> ().

    Raises:
        ShapeError: the values per sample differ in number, or over 4 axes.

    Examples:
        >>> float(keras_caffe.layers.EuclideanLoss()([np.float32([[1, 2]]), np.float32([[1, 4]])]))
        2.0

    Caffe: src/caffe/layers/euclidean_loss_layer.cpp
    """

    not_forced: Sequence[int] = ()
    kept_bottoms: Sequence[int] = (0, 1)

    def call(self, inputs: Any) -> Any:
        return euclidean_loss(*inputs)

    def check_shapes(self, *shapes: Shape) -> None:
        check_rank(shapes[:1])
        check_size(
            count(shapes[1][1:]), count(shapes[0][1:]), "both bottoms must have the same number of values per sample"
        )

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return 3 * total_count(bottoms[:1])  # difference, square, sum

    @classmethod
    def bottom_orders(cls, layer: Any, bottoms: Sequence[Bottom]) -> list[Order]:
        return alike_orders(bottoms)
