"""What the layers of connectionist temporal classification have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers.arguments import whole
from keras_caffe.layers.base import Bottom, CaffeLayer
from keras_caffe.layers.loss import LossLayer
from keras_caffe.layers.loss_bottoms import check_size
from keras_caffe.shapes import Shape, Size, count, total_count


class SequenceLoss(LossLayer):
    """Base of the losses of label sequences: scores (T, N, C[, 1]) before the softmax, and what tells the labels.

    Args:
        blank: the class that stands for none; negative: the last one.
    """

    not_forced: Sequence[int] = (1, 2, 3)
    kept_bottoms: Sequence[int] = (0,)

    def __init__(self, blank: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.blank: int = whole("blank", blank)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        check_scores(shapes[0])
        check_blank(self.blank, shapes[0][2])
        self.check_shapes(*shapes)
        return [()]

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int | None:
        return 5 * total_count(bottoms[:1])  # The softmax; the labels decide about the rest.

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        cls.refuse_label_gradient(layer)
        return cls(**cls.sequence_arguments(layer.ctc_loss_param), **kwargs)

    @classmethod
    def sequence_arguments(cls, param: Any) -> dict[str, Any]:
        """The constructor's arguments that the message holds."""
        return {"blank": param.blank_index}


def sequences(scores: Any) -> Any:
    """(T, N, C[, 1]) -> (T, N, C)."""
    return ops.reshape(scores, ops.shape(scores)[:3])


def class_index(index: int, classes: int) -> int:
    """The class that stands for none."""
    return classes - 1 if index < 0 else index


def check_scores(shape: Shape, axes: str = "(T, N, C)") -> None:
    """Raises ShapeError unless a bottom has scores of sequences, of a known number of classes."""
    if len(shape) < 3 or shape[2] is None or any(size not in (1, None) for size in shape[3:]):
        raise ShapeError("the first bottom must have scores of each class in each step", expected=axes, received=shape)


def check_blank(blank: int, classes: Size) -> None:
    """Raises LayerError if the blank is not one of the classes."""
    if classes is not None and blank >= classes:
        raise LayerError("the blank is not one of the classes", expected=f"less than {classes}", received=blank)


def check_rows(shape: Shape, rows: Size, what: str) -> None:
    """Raises ShapeError unless a bottom has one row of labels for each sequence."""
    if not shape or any(size not in (1, None) for size in shape[2:]):
        raise ShapeError(f"{what} must have two axes", expected="(N, L)", received=shape)
    check_size(shape[0], rows, f"{what} need one row for each sequence")


def check_steps(shape: Shape, like: Shape, what: str) -> None:
    """Raises ShapeError unless a bottom has one value for each step of each sequence."""
    for have, want in zip(shape[:2], like[:2], strict=False):
        check_size(have, want, f"{what} need one value for each step of each sequence")
    check_size(count(shape), count(like[:2]), f"{what} need one value for each step of each sequence")
