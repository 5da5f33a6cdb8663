"""CTCLoss (MhLiao/TextBoxes_plusplus: ctc_loss_layer.cpp)."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_caffe.errors import LayerError
from keras_caffe.layers.arguments import flag
from keras_caffe.layers.base import Arity, serializable
from keras_caffe.layers.ctc import SequenceLoss, check_steps, class_index, sequences
from keras_caffe.ops.ctc import ctc_costs, first_true, packed
from keras_caffe.ops.losses import integer_labels, with_only_gradient_of
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("CTCLoss")
class CTCLoss(SequenceLoss):
    """Mean over the sequences of -log p(label | softmax(x)); infinite, without a gradient, where labels do not fit.

    The gradient of a sequence is that of its own cost: neither divided by N nor scaled by the loss weight. A sequence
    without labels costs nothing; the fork refuses it if it has more than one step. loss_calculation_t has no effect.

    Args:
        blank: the class that stands for none; negative: the last one (-1).
        preprocess_collapse_repeated: equal labels in a row count once (False).
        ctc_merge_repeated: a label may stay for several steps, and equal ones need a blank between them; without, a
            label stays for one step (True).

    Shapes: scores (T, N, C[, 1]), indicators (T, N), of which the first 0 after the first step ends a sequence, labels
    (T, N), ended by a negative one -> ().

    Raises:
        ShapeError: other shapes. LayerError: `output_delay`; a label is out of range (in your own tf.function the loss
            is NaN).

    Caffe: src/caffe/layers/ctc_loss_layer.cpp (MhLiao/TextBoxes_plusplus)
    """

    bottoms: Arity = (3, 3)

    def __init__(
        self,
        blank: int = -1,
        preprocess_collapse_repeated: bool = False,
        ctc_merge_repeated: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(blank=blank, **kwargs)
        self.preprocess_collapse_repeated: bool = flag("preprocess_collapse_repeated", preprocess_collapse_repeated)
        self.ctc_merge_repeated: bool = flag("ctc_merge_repeated", ctc_merge_repeated)

    def call(self, inputs: Any) -> Any:
        scores = sequences(inputs[0])
        steps, batch = ops.shape(scores)[:2]
        indicators, labels = (ops.reshape(integer_labels(x), (steps, batch)) for x in inputs[1:])
        time = ops.arange(steps, dtype="int32")[:, None]
        lengths, label_lengths = first_true((indicators == 0) & (time > 0)), first_true(labels < 0)
        labels = ops.transpose(labels)
        if self.preprocess_collapse_repeated:
            before = ops.concatenate([ops.full_like(labels[:, :1], -1), labels[:, :-1]], axis=1)
            labels, label_lengths = packed(labels, (time[:, 0] < label_lengths[:, None]) & (labels != before))
        blank = class_index(self.blank, scores.shape[2])
        merge = self.ctc_merge_repeated
        costs = ctc_costs(scores, labels, label_lengths, lengths, blank=blank, merge_repeated=merge)
        total = ops.sum(ops.where(label_lengths > 0, costs, 0))
        return with_only_gradient_of(total / ops.cast(batch, total.dtype), total)

    def check_shapes(self, *shapes: Shape) -> None:
        check_steps(shapes[1], shapes[0], "the indicators")
        check_steps(shapes[2], shapes[0], "the labels")

    @classmethod
    def sequence_arguments(cls, param: Any) -> dict[str, Any]:
        if param.output_delay:
            raise LayerError("no delay of the output can be computed", expected="0", received=param.output_delay)
        names = ("preprocess_collapse_repeated", "ctc_merge_repeated")
        blank = param.blank_index if param.HasField("blank_index") else -1
        return {"blank": blank, **{name: getattr(param, name) for name in names}}
