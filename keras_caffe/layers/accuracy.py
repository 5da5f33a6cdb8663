"""Accuracy (src/caffe/layers/accuracy_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import ShapeError
from keras_caffe.layers.arguments import flag, one_of, optional, whole
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable
from keras_caffe.layers.context import load_context
from keras_caffe.layers.loss import full_precision
from keras_caffe.layers.loss_bottoms import check_label_count, class_orders
from keras_caffe.layout import Order, caffe_order
from keras_caffe.ops.accuracy import TIES, accuracy, check_top_k
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, total_count


@serializable
@register_layer("Accuracy")
class Accuracy(CaffeLayer):
    """Share of the places whose label is among the top_k best scores; 0 if none counts. It has no gradient.

    Args:
        top_k: number of best classes to look at, at least 1 (default).
        axis: tensor axis of the classes (-1).
        ignore_label: places with this label do not count; None (default) = all count.
        ties: "bvlc" (default; 1.0 of 2017-10 and later): a class that scores as much as the true one stands before it;
            "ssd" (that fork, and Caffe before): of equal classes the later stands before; nothing counted gives NaN.
        per_class: give the accuracy of each class as a second top, 0 for absent classes (False).

    Shapes: scores (..., K, ...), labels (one for each place, in the places' order) -> () [, (K,)].

    Raises:
        ShapeError: another number of labels than places.
        LayerError: top_k is beyond the classes; a label is out of range (in your own tf.function it is skipped).

    Examples:
        >>> float(keras_caffe.layers.Accuracy()([np.float32([[0.9, 0.1], [0.2, 0.8]]), np.float32([0, 0])]))
        0.5

    Caffe: src/caffe/layers/accuracy_layer.cpp
    """

    bottoms: Arity = (2, 2)
    tops: Arity = (1, 2)
    stores = "caffe"
    has_gradient = False

    def __init__(
        self,
        top_k: int = 1,
        axis: int = -1,
        ignore_label: int | None = None,
        ties: str = "bvlc",
        per_class: bool = False,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype=full_precision(dtype), **kwargs)
        self.top_k: int = whole("top_k", top_k, 1)
        self.axis: int = whole("axis", axis)
        self.ignore_label: int | None = optional(whole, "ignore_label", ignore_label)
        self.ties: str = one_of("ties", ties, TIES)
        self.per_class: bool = flag("per_class", per_class)

    def call(self, inputs: Any) -> Any:
        scores, labels = inputs
        scores = ops.moveaxis(scores, self.axis, -1)
        mean, per_class = accuracy(scores, labels, top_k=self.top_k, ignore_label=self.ignore_label, ties=self.ties)
        return [mean, per_class] if self.per_class else mean

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        check_label_count(shapes[0], self.axis, shapes[1])
        classes = shapes[0][self.axis]
        if classes is None:
            raise ShapeError("Accuracy needs to know the number of classes", received=shapes[0])
        check_top_k(self.top_k, classes)
        return [(), (classes,)] if self.per_class else [()]

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return total_count(bottoms[:1])

    @classmethod
    def bottom_orders(cls, layer: Any, bottoms: Sequence[Bottom]) -> list[Order]:
        return class_orders(bottoms, layer.accuracy_param.axis)

    def top_orders(self, orders: Sequence[Order], ranks: Sequence[int]) -> list[Order]:
        return [caffe_order(rank) for rank in ranks]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.accuracy_param
        return cls(
            top_k=param.top_k,
            axis=bottoms[0].axis(param.axis),
            ignore_label=param.ignore_label if param.HasField("ignore_label") else None,
            ties="bvlc" if load_context().fork in (None, "bvlc") else "ssd",
            per_class=len(layer.top) > 1,
            **kwargs,
        )
