"""What the losses of YOLO share: their bottoms are a map of boxes and the truths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.errors import ShapeError
from keras_caffe.layers.base import Bottom
from keras_caffe.layers.loss import LossLayer
from keras_caffe.layers.loss_bottoms import check_size
from keras_caffe.layout import Order, caffe_order, channels_last
from keras_caffe.shapes import Shape, total_count


class BoxLoss(LossLayer):
    """Base of the losses over a map (N, H, W, boxes * (5 + classes)) and truths (N, 1, truths, 5).

    Attributes:
        boxes: of a cell of the map.
        num_class: number of classes.
    """

    no_gradient: Sequence[int] = (1,)
    boxes: int
    num_class: int

    def check_shapes(self, *shapes: Shape) -> None:
        maps, labels = shapes
        if len(maps) != 4 or len(labels) != 4 or labels[1] not in (1, None) or labels[3] not in (5, None):
            raise ShapeError(
                f"{type(self).__name__} needs a map and truths", expected="(N, 1, truths, 5)", received=shapes
            )
        check_size(maps[3], self.boxes * (5 + self.num_class), "wrong number of channels for boxes and classes")

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return 3 * total_count(bottoms[:1])  # difference, square, sum

    @classmethod
    def bottom_orders(cls, layer: Any, bottoms: Sequence[Bottom]) -> list[Order]:
        return [channels_last(bottoms[0].rank), caffe_order(bottoms[1].rank)]
