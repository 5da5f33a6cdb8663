"""WarpCTCLoss (senlinuc/caffe_ocr: warp_ctc_loss_layer.cpp)."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_caffe.errors import NetError
from keras_caffe.layers.base import Arity, serializable
from keras_caffe.layers.ctc import SequenceLoss, check_rows, check_steps, class_index, sequences
from keras_caffe.layers.loss_bottoms import check_size
from keras_caffe.ops.ctc import ctc_costs, first_true, packed
from keras_caffe.ops.losses import integer_labels, with_only_gradient_of
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, count


@serializable
@register_layer("WarpCTCLoss")
class WarpCTCLoss(SequenceLoss):
    """Mean over the sequences of -log p(label | softmax(x)); one whose labels do not fit into its steps costs 0.

    The gradient of a sequence is that of its own cost: neither divided by N nor scaled by the loss weight. Besides
    blank_index no field of the message has an effect.

    Args:
        blank: the class that stands for none; negative: the last one (0).

    Shapes: scores (T, N, C[, 1]) and, as the number of bottoms tells,
        2: labels (N, L), of which blanks are skipped;
        3: indicators (T, N), of which the first 0 after the first step ends a sequence, and labels (T, N), ended by a
        negative one; with blank 0 the classes of the labels begin at 1, so that label 0 means class 1;
        4: numbers of steps (N), numbers of labels (N), labels (L, N[, 1, 1]) -> ().

    Raises:
        ShapeError: other shapes. LayerError: a label is out of range (in your own tf.function the loss is NaN).

    Caffe: src/caffe/layers/warp_ctc_loss_layer.cpp (senlinuc/caffe_ocr)
    """

    bottoms: Arity = (2, 4)

    def call(self, inputs: Any) -> Any:
        scores = sequences(inputs[0])
        blank = class_index(self.blank, scores.shape[2])
        costs = ctc_costs(scores, *self._labels(scores, [integer_labels(x) for x in inputs[1:]], blank), blank=blank)
        infinite = costs == float("inf")
        costs = ops.where(infinite, 0, costs)
        finite = ops.cast(ops.isfinite(costs), costs.dtype)
        mean = ops.sum(ops.where(finite > 0, costs, 0)) / ops.maximum(ops.sum(finite), 1)
        mean = ops.where(ops.any(ops.isnan(costs)), ops.cast(float("nan"), mean.dtype), mean)
        return with_only_gradient_of(mean, ops.sum(costs))

    def _labels(self, scores: Any, rest: list[Any], blank: int) -> tuple[Any, Any, Any]:
        steps, batch = ops.shape(scores)[:2]
        if len(rest) == 1:
            labels = ops.reshape(rest[0], (batch, -1))
            return *packed(labels, labels != blank), ops.full((batch,), steps, "int32")
        if len(rest) == 2:
            indicators, labels = (ops.reshape(x, (steps, batch)) for x in rest)
            later = ops.arange(steps)[:, None] > 0
            shifted = ops.transpose(labels + 1 if blank == 0 else labels)
            return shifted, first_true(labels < 0), first_true((indicators == 0) & later)
        lengths, label_lengths, labels = rest
        return (
            ops.transpose(ops.reshape(labels, (-1, batch))),
            ops.reshape(label_lengths, (-1,)),
            ops.reshape(lengths, (-1,)),
        )

    def check_shapes(self, *shapes: Shape) -> None:
        scores, *rest = shapes
        if len(rest) == 1:
            check_rows(rest[0], scores[1], "the labels")
        elif len(rest) == 2:
            check_steps(rest[0], scores, "the indicators")
            check_steps(rest[1], scores, "the labels")
        elif len(rest) == 3:
            check_size(count(rest[0]), scores[1], "there must be one number of steps for every sequence")
            check_size(count(rest[1]), scores[1], "there must be one number of labels for every sequence")
            check_size(
                rest[2][1] if len(rest[2]) > 1 else None, scores[1], "the labels need one column for each sequence"
            )
        else:
            raise NetError("wrong number of bottoms", expected="2 to 4", received=len(shapes))
