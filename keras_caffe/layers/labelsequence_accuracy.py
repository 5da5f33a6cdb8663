"""LabelsequenceAccuracy (dlunion/CaffeLSTM-OCR and others: labelsequence_accuracy_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.layers.arguments import whole
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable
from keras_caffe.layers.ctc import check_blank, check_rows, check_scores, class_index, sequences
from keras_caffe.layers.loss import full_precision
from keras_caffe.ops.ctc import best_path, packed
from keras_caffe.ops.losses import integer_labels
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, total_count


@serializable
@register_layer("LabelsequenceAccuracy")
class LabelsequenceAccuracy(CaffeLayer):
    """The share of sequences whose best path, repeats merged and blanks dropped, is their labels without blanks.

    Args:
        blank: the class that stands for none; negative: the last one (0); `blank_label` in a file.

    Shapes: scores (N, T, C[, 1]), labels (N, L) -> (). The losses of these forks have N and T the other way round.

    Raises:
        LayerError, ShapeError: a blank that is no class, other shapes.

    Caffe: src/caffe/layers/labelsequence_accuracy_layer.cpp (dlunion/CaffeLSTM-OCR and others)
    """

    bottoms: Arity = (2, 2)
    stores = "caffe"
    has_gradient = False

    def __init__(self, blank: int = 0, *, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(dtype=full_precision(dtype), **kwargs)
        self.blank: int = whole("blank", blank)

    def call(self, inputs: Any) -> Any:
        scores, labels = sequences(inputs[0]), integer_labels(inputs[1])
        blank = class_index(self.blank, scores.shape[2])
        labels = ops.reshape(labels, ops.shape(labels)[:2])
        path, lengths = best_path(scores, blank=blank)
        labels, label_lengths = packed(labels, labels != blank)
        path, labels = path[:, : ops.shape(labels)[1]], labels[:, : ops.shape(path)[1]]
        counts = ops.arange(ops.shape(path)[1], dtype="int32") < lengths[:, None]
        met = (lengths == label_lengths) & ops.all((path == labels) | ~counts, axis=1)
        return ops.mean(ops.cast(met, self.compute_dtype))

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        check_scores(shapes[0], "(N, T, C)")
        check_blank(self.blank, shapes[0][2])
        check_rows(shapes[1], shapes[0][0], "the labels")
        return [()]

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return total_count(bottoms[:1])  # comparisons

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        return cls(blank=layer.labelsequence_accuracy_param.blank_label, **kwargs)
