"""SegAccuracy (DeepLab v2 and PSPNet, src/caffe/layers/seg_accuracy_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import ShapeError
from keras_caffe.layers.arguments import flag, wholes
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable, shape_list
from keras_caffe.layers.loss import full_precision
from keras_caffe.layers.loss_bottoms import check_label_count
from keras_caffe.layout import Order, caffe_order, channels_last
from keras_caffe.ops.accuracy import confusion, segmentation_scores
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, known, total_count


@serializable
@register_layer("SegAccuracy")
class SegAccuracy(CaffeLayer):
    """Accuracy of the pixels, mean accuracy of the classes that occur, mean intersection over union of all classes.

    The class of a pixel is that of the greatest score, the last of equal ones. A class with nothing to unite counts 1.
    Without any pixel the accuracies are 0. No gradient.

    Args:
        ignore_label: labels of pixels that do not count; () (default) = all count.
        reset: forget the pixels of earlier batches (True).

    Shapes: scores (N, H, W, C), labels (N, 1, H, W) -> (1, 1, 1, 3).

    Raises:
        ShapeError: another number of labels than pixels. LayerError: a label is out of range (in your own tf.function
            it is skipped).

    Caffe: src/caffe/layers/seg_accuracy_layer.cpp (DeepLab v2, hszhao/PSPNet)
    """

    bottoms: Arity = (2, 2)
    stores = "channels_last"
    has_gradient = False
    seen: Any | None

    def __init__(self, ignore_label: Any = (), reset: bool = True, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(dtype=full_precision(dtype), **kwargs)
        self.ignore_label: tuple[int, ...] = wholes("ignore_label", ignore_label)
        self.reset: bool = flag("reset", reset)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        (classes,) = known(shape_list(input_shape)[0][-1:])
        state = {"shape": (classes, classes), "initializer": "zeros", "trainable": False, "autocast": False}
        self.seen = None if self.reset else self.add_weight(name="seen", **state)

    def reset_state(self) -> None:
        """Forgets the pixels of earlier batches."""
        if self.seen is not None:
            self.seen.assign(ops.zeros_like(self.seen))

    def call(self, inputs: Any) -> Any:
        scores, labels = (ops.stop_gradient(x) for x in inputs)
        counts = confusion(scores, labels, self.ignore_label)
        if self.seen is not None:
            counts = counts + self.seen
            self.seen.assign(counts)
        return ops.reshape(ops.stack(segmentation_scores(counts)), (1, 1, 1, 3))

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        if len(shapes[0]) != 4:
            raise ShapeError("SegAccuracy needs scores with 4 axes", received=shapes[0])
        check_label_count(shapes[0], 3, shapes[1])
        return [(1, 1, 1, 3)]

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return total_count(bottoms[:1])

    @classmethod
    def bottom_orders(cls, layer: Any, bottoms: Sequence[Bottom]) -> list[Order]:
        return [channels_last(bottoms[0].rank), caffe_order(bottoms[1].rank)]

    def top_orders(self, orders: Sequence[Order], ranks: Sequence[int]) -> list[Order]:
        return [caffe_order(rank) for rank in ranks]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.seg_accuracy_param  # Its `metric` chooses nothing: the fork writes all three.
        return cls(tuple(param.ignore_label), param.reset, **kwargs)
