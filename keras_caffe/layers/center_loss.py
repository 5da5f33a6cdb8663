"""CenterLoss (ydwen/caffe-face, src/caffe/layers/center_loss_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe import fillers
from keras_caffe.errors import LayerError
from keras_caffe.layers.arguments import filler, whole
from keras_caffe.layers.base import Blob, Bottom, CaffeLayer, required, serializable
from keras_caffe.layers.loss import LossLayer
from keras_caffe.layers.loss_bottoms import check_rank, check_single
from keras_caffe.ops.distances import center_loss
from keras_caffe.ops.indices import leading
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, canonical_axis, count, known, total_count


@serializable
@register_layer("CenterLoss")
class CenterLoss(LossLayer):
    """Distance of features to the learned center of their class: sum |x - c[label]|^2 / (2 N).

    The centers follow their samples: their gradient is sum (c - x) / (1 + number of samples) over a class, not that of
    the loss and not scaled by the loss weight. The layer has no loss weight unless one is stated.

    Args:
        num_output: number of classes.
        axis: the axes from here on make up a feature, counted from the front (1); the first axis is the batch.
        center_filler: see `keras_caffe.fillers` (0).

    Shapes: features (N, ...) in Caffe's order, labels (N[, 1, 1, 1]) -> ().

    Raises:
        ShapeError: more than one label for a sample. LayerError: a label is out of range (in your own tf.function the
            loss is NaN).

    Caffe: src/caffe/layers/center_loss_layer.cpp (ydwen/caffe-face)
    """

    is_loss = False
    no_gradient: Sequence[int] = (1,)
    kept_bottoms: Sequence[int] = (0,)

    def __init__(
        self, num_output: int, axis: int = 1, center_filler: fillers.Filler = "constant", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.num_output: int = whole("num_output", num_output, 1)
        self.axis: int = whole("axis", axis)
        if self.axis < 1:
            raise LayerError("the features cannot include the batch axis", expected="axis of 1 or more", received=axis)
        self.center_filler: fillers.Filler = filler("center_filler", center_filler)

    def call(self, inputs: Any) -> Any:
        features, labels = inputs
        size = self.centers.shape[1]
        features = leading(ops.reshape(features, (-1,)), ops.shape(features)[0] * size)
        return center_loss(ops.reshape(features, (-1, size)), self.centers, labels)

    def check_shapes(self, *shapes: Shape) -> None:
        check_rank(shapes)
        check_single(shapes[1], "the labels")
        canonical_axis(self.axis, len(shapes[0]))

    def blob_table(self, *shapes: Shape) -> list[Blob]:
        return [Blob("centers", (self.num_output, count(known(shapes[0][self.axis :]))), self.center_filler)]

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return 3 * total_count(bottoms[:1])  # difference, square, sum

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        cls.refuse_label_gradient(layer)
        param = layer.center_loss_param
        axis = canonical_axis(param.axis, bottoms[0].rank)
        return cls(required(param, "num_output"), axis, fillers.from_caffe(param.center_filler), **kwargs)
