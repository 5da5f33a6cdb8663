"""Orders and shapes of what losses and metrics take: predictions, labels, weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import ShapeError
from keras_caffe.layers.base import Bottom
from keras_caffe.layout import Order, caffe_order
from keras_caffe.shapes import Shape, Size, canonical_axis, count, fits


def class_orders(bottoms: Sequence[Bottom], axis: int) -> list[Order]:
    """The first bottom as it is stored, if its other axes keep Caffe's order; labels in Caffe's order."""
    first = bottoms[0]
    tensor = first.axis(axis)
    rest = first.order[:tensor] + first.order[tensor + 1 :]
    order = first.order if list(rest) == sorted(rest) else caffe_order(first.rank)
    return [order, *(caffe_order(b.rank) for b in bottoms[1:])]


def alike_orders(bottoms: Sequence[Bottom], among: int | None = None) -> list[Order]:
    """The first bottom's order for all where their shapes agree, so that nothing is transposed; else Caffe's."""
    if all(b.shape == bottoms[0].shape for b in bottoms[:among]):
        return [bottoms[0].order if b.shape == bottoms[0].shape else caffe_order(b.rank) for b in bottoms]
    return [caffe_order(b.rank) for b in bottoms]


def check_label_count(shape: Shape, axis: int, labels: Shape) -> None:
    """Raises ShapeError unless there is one label for every place, LayerError if `axis` is out of range."""
    classes = canonical_axis(axis, len(shape))
    wanted = count(tuple(s for i, s in enumerate(shape) if i != classes))
    have = count(labels)
    if None not in (wanted, have) and wanted != have:
        raise ShapeError(
            "the number of labels does not match the number of predictions",
            expected=f"{wanted} labels for scores {shape}",
            received=f"{have} labels of shape {labels}",
            fix="Give one label for each place, (N, H, W) for images.",
        )


def classes_last(scores: Any, axis: int, labels: Any) -> Any:
    """The scores with the classes, which are on `axis`, on the last one. Raises as `check_label_count`."""
    check_label_count(tuple(scores.shape), axis, tuple(labels.shape))
    return ops.moveaxis(scores, axis, -1)


def flat(x: Any) -> Any:
    """(N, ...) -> (N, everything else in one axis)."""
    return ops.reshape(x, (-1, math.prod(ops.shape(x)[1:])))


def check_rank(shapes: Sequence[Shape], most: int = 4) -> None:
    """Raises ShapeError for bottoms of more axes than Caffe's older layers can address."""
    for shape in shapes:
        if len(shape) > most:
            raise ShapeError("a bottom has too many axes", expected=f"at most {most}", received=shape)


def check_alike(shapes: Sequence[Shape]) -> None:
    """Raises ShapeError unless all have one shape. (R, 8) is (R, 8, 1, 1): Caffe's older layers see four axes."""
    check_rank(shapes)
    first, *others = ((*shape, 1, 1, 1)[:4] for shape in shapes)
    for shape, other in zip(shapes[1:], others, strict=True):
        if not fits(first, other):
            raise ShapeError("all bottoms must have one shape", expected=shapes[0], received=shape)


def check_single(shape: Shape, what: str, first: int = 1) -> None:
    """Raises ShapeError unless all axes from `first` on have size 1."""
    if any(size not in (1, None) for size in shape[first:]):
        raise ShapeError(f"{what} must have size 1 from axis {first} on", received=shape)


def check_size(have: Size, want: Size, what: str) -> None:
    """Raises ShapeError if two known sizes differ."""
    if None not in (have, want) and have != want:
        raise ShapeError(what, expected=want, received=have)
