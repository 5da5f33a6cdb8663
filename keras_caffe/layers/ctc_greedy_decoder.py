"""CTCGreedyDecoder (senlinuc/caffe_ocr: ctc_decoder_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.layers.arguments import flag, whole
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable
from keras_caffe.layers.ctc import check_blank, check_rows, check_scores, class_index, sequences
from keras_caffe.layers.loss import full_precision
from keras_caffe.ops.ctc import best_path, edit_distance, first_true, packed
from keras_caffe.ops.losses import integer_labels
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, total_count


@serializable
@register_layer("CTCGreedyDecoder")
class CTCGreedyDecoder(CaffeLayer):
    """The best class of each step without blanks; with labels, how well these sequences meet them.

    With labels the top has 1 - the mean of (edit distance / the longer of the two lengths), and the share of sequences
    that are met; a pair without any class has distance 0, but is not met.

    Args:
        blank: the class that stands for none; negative: the last one (0).
        ctc_merge_repeated: a class that is the best of the step before, too, does not count (True).

    Shapes: scores (T, N, C[, 1]) -> (N, T, 1, 1), filled up with -1; with labels (N, L), ended by a negative one, of
    which blanks are skipped -> (1, 2, 1, 1); in Caffe's order.

    Raises:
        LayerError, ShapeError: a blank that is no class, other shapes.

    Caffe: src/caffe/layers/ctc_decoder_layer.cpp (senlinuc/caffe_ocr)
    """

    bottoms: Arity = (1, 2)
    stores = "caffe"
    has_gradient = False

    def __init__(self, blank: int = 0, ctc_merge_repeated: bool = True, *, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(dtype=full_precision(dtype), **kwargs)
        self.blank: int = whole("blank", blank)
        self.ctc_merge_repeated: bool = flag("ctc_merge_repeated", ctc_merge_repeated)

    def call(self, inputs: Any) -> Any:
        scores, *rest = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        scores = ops.transpose(sequences(scores), (1, 0, 2))
        blank = class_index(self.blank, scores.shape[2])
        path, lengths = best_path(scores, blank=blank, merge_repeated=self.ctc_merge_repeated)
        if rest:
            return self._score(path, lengths, *self._labels(rest[0], blank))
        path = ops.where(ops.arange(ops.shape(path)[1], dtype="int32") < lengths[:, None], path, -1)
        return ops.cast(path, self.compute_dtype)[:, :, None, None]

    def _labels(self, labels: Any, blank: int) -> tuple[Any, Any]:
        labels = ops.reshape(integer_labels(labels), ops.shape(labels)[:2])
        ends = first_true(ops.transpose(labels) < 0)
        before = ops.arange(ops.shape(labels)[1], dtype="int32") < ends[:, None]
        return packed(labels, before & (labels != blank))

    def _score(self, path: Any, lengths: Any, labels: Any, label_lengths: Any) -> Any:
        distance = edit_distance(path, lengths, labels, label_lengths)
        longer = ops.maximum(lengths, label_lengths)
        apart = ops.cast(distance, self.compute_dtype) / ops.cast(ops.maximum(longer, 1), self.compute_dtype)
        met = ops.cast((distance == 0) & (longer > 0), self.compute_dtype)
        return ops.reshape(ops.stack([1 - ops.mean(apart), ops.mean(met)]), (1, 2, 1, 1))

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        check_scores(shapes[0])
        check_blank(self.blank, shapes[0][2])
        steps, batch = shapes[0][:2]
        if len(shapes) == 1:
            return [(batch, steps, 1, 1)]
        check_rows(shapes[1], batch, "the labels")
        return [(1, 2, 1, 1)]

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return total_count(bottoms[:1])  # comparisons

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.ctc_decoder_param
        return cls(blank=param.blank_index, ctc_merge_repeated=param.ctc_merge_repeated, **kwargs)
