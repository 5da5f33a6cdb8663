"""InfogainLoss (src/caffe/layers/infogain_loss_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers.arguments import flag, optional, square
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable
from keras_caffe.layers.blob_file import read_blob
from keras_caffe.layers.loss import ClassLossLayer
from keras_caffe.layers.loss_bottoms import check_size
from keras_caffe.layout import Order, caffe_order
from keras_caffe.ops.losses import infogain_loss
from keras_caffe.ops.softmax import softmax
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, count, total_count


@serializable
@register_layer("InfogainLoss")
class InfogainLoss(ClassLossLayer):
    """Softmax and the log loss weighted by a matrix: -sum over l of H[label, l] log(max(p[l], 1e-20)) / normaliser.

    The gradient is p sum_l H[label, l] - H[label], over the normaliser. No gradient flows into labels or H.

    Args:
        axis, batch_axes, ignore_label, normalization: as in SoftmaxWithLoss.
        matrix: H, K rows of K numbers; None (default) = it is the third bottom.
        probabilities: give the softmax as a second top (False).

    Shapes: scores (..., K, ...), labels (one for each place) [, H of K * K values] -> () [, scores' shape].

    Raises:
        ShapeError: another number of labels than places, H is not K x K.
        LayerError: no matrix; a label is out of range (in your own tf.function the loss is NaN).
        DataError: the matrix file is missing or no BlobProto.

    Caffe: src/caffe/layers/infogain_loss_layer.cpp
    """

    bottoms: Arity = (2, 3)
    tops: Arity = (1, 2)
    no_gradient: Sequence[int] = (1, 2)
    kept_bottoms: Sequence[int] = (0,)

    def __init__(
        self, *, matrix: Sequence[Sequence[float]] | None = None, probabilities: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.matrix: list[list[float]] | None = optional(square, "matrix", matrix)
        self.probabilities: bool = flag("probabilities", probabilities)

    def call(self, inputs: Any) -> Any:
        scores, labels, *third = inputs
        matrix = third[0] if third else np.asarray(self.matrix, "float32")
        loss = infogain_loss(self.classes_last(scores), labels, matrix, **self.loss_arguments())
        return [loss, softmax(scores, self.axis)] if self.probabilities else loss

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        return super().top_shapes(*shapes) + [shapes[0]] * self.probabilities

    def top_orders(self, orders: Sequence[Order], ranks: Sequence[int]) -> list[Order]:
        return [caffe_order(0), orders[0]][: len(ranks)]

    def check_shapes(self, *shapes: Shape) -> None:
        super().check_shapes(*shapes)
        classes = shapes[0][self.axis]
        if len(shapes) < 3 and self.matrix is None:
            raise LayerError(
                "the infogain matrix is not given", fix="Set infogain_loss_param.source or add a third bottom."
            )
        size = count(shapes[2]) if len(shapes) > 2 else int(np.size(self.matrix or ()))
        check_size(size, None if classes is None else classes**2, "the infogain matrix must be square in the classes")

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return 8 * total_count(bottoms[:1])  # softmax; logarithm, product, sum

    @classmethod
    def caffe_axis(cls, layer: Any) -> int:
        return layer.infogain_loss_param.axis

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        if layer.loss_param.HasField("normalize"):
            raise LayerError("InfogainLoss takes no normalize", fix="Use normalization: VALID or BATCH_SIZE.")
        cls.refuse_label_gradient(layer)
        arguments = cls.class_arguments(layer, bottoms)
        if len(bottoms) < 3:
            if not layer.infogain_loss_param.HasField("source"):
                raise LayerError("the infogain matrix has no source", fix="Set infogain_loss_param.source.")
            classes = bottoms[0].shape[bottoms[0].order[arguments["axis"]]]
            arguments["matrix"] = read_matrix(layer.infogain_loss_param.source, classes).tolist()
        return cls(probabilities=len(layer.top) > 1, **arguments, **kwargs)


def read_matrix(source: str, classes: int) -> np.ndarray:
    """The (classes, classes) matrix in a binaryproto file.

    Raises:
        DataError: missing file, or not a BlobProto.
        ShapeError: another number of values.
    """
    values = read_blob(source, "the infogain matrix")
    if values.size != classes**2:
        raise ShapeError(
            "the infogain matrix must be square in the classes",
            where=source,
            expected=f"{classes} x {classes} values",
            received=f"{values.size} values",
        )
    return values.reshape(classes, classes)
