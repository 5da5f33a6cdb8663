"""CtcLoss (dlunion/CaffeLSTM-OCR and others: ctc_loss_layer.cpp)."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_caffe.layers.arguments import optional, whole
from keras_caffe.layers.base import serializable
from keras_caffe.layers.ctc import SequenceLoss, check_rows, class_index, sequences
from keras_caffe.layers.loss_bottoms import check_size
from keras_caffe.ops.ctc import ctc_costs, packed
from keras_caffe.ops.losses import integer_labels, with_gradient_of
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("CtcLoss")
class CtcLoss(SequenceLoss):
    """Mean over the sequences of -log p(label | softmax(x)); one whose labels do not fit into its steps costs 0.

    The gradient is that of the sum of the costs, not of their mean.

    Args:
        blank: the class that stands for none; negative: the last one (0); `blank_label` in a file.
        alphabet_size: C, None (default) = whatever it is.
        time_step: T, None (default) = whatever it is.

    Shapes: scores (T, N, C[, 1]), labels (N, L), of which blanks are skipped -> ().

    Raises:
        ShapeError: other shapes. LayerError: a label is out of range (in your own tf.function the loss is NaN).

    Caffe: src/caffe/layers/ctc_loss_layer.cpp (dlunion/CaffeLSTM-OCR and others)
    """

    def __init__(
        self, blank: int = 0, alphabet_size: int | None = None, time_step: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(blank=blank, **kwargs)
        self.alphabet_size: int | None = optional(whole, "alphabet_size", alphabet_size, 1)
        self.time_step: int | None = optional(whole, "time_step", time_step, 1)

    def call(self, inputs: Any) -> Any:
        scores, labels = sequences(inputs[0]), integer_labels(inputs[1])
        steps, batch, classes = ops.shape(scores)
        blank = class_index(self.blank, classes)
        labels = ops.reshape(labels, (batch, -1))
        lengths = ops.full((batch,), steps, "int32")
        costs = ctc_costs(scores, *packed(labels, labels != blank), lengths, blank=blank)
        total = ops.sum(ops.where(costs == float("inf"), 0, costs))
        return with_gradient_of(total / ops.cast(batch, total.dtype), total)

    def check_shapes(self, *shapes: Shape) -> None:
        steps, batch, classes = shapes[0][:3]
        check_size(steps, self.time_step, "time_step must be the number of steps")
        check_size(classes, self.alphabet_size, "alphabet_size must be the number of classes")
        check_rows(shapes[1], batch, "the labels")

    @classmethod
    def sequence_arguments(cls, param: Any) -> dict[str, Any]:
        size, step = param.alphabet_size or None, param.time_step or None
        return {"blank": param.blank_label, "alphabet_size": size, "time_step": step}
