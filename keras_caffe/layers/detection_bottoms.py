"""Shapes of what detectors take: locations, scores and priors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.errors import LayerError, Option, ShapeError
from keras_caffe.layers.loss_bottoms import check_single, check_size
from keras_caffe.shapes import Shape, count, same_shape


def check_detection_shapes(shapes: Sequence[Shape], num_classes: int, share_location: bool) -> None:
    """Raises ShapeError unless locations, scores and priors fit together."""
    locations, scores, priors = shapes[:3]
    if len(priors) < 3 or (priors[1] is not None and priors[1] < 2):
        raise ShapeError("the third bottom holds no priors", expected="(1, 2, 4 * priors)", received=priors)
    same_shape(locations[:1], scores[:1], "locations and scores must have the same batch size")
    size = count(priors[2:])
    if size is not None:
        sets = 1 if share_location else num_classes
        _check_locations(count(locations[1:2]), size * sets)
        check_size(count(scores[1:2]), size // 4 * num_classes, "the number of scores does not match the priors")
    check_single(locations, "the locations", 2)
    check_single(scores, "the scores", 2)


def _check_locations(have: int | None, want: int) -> None:
    if have in (None, want):
        return
    raise ShapeError(
        "the number of locations does not match the priors",
        expected=want,
        received=have,
        fix=(
            Option("fork", "textboxes", "if the net was written for TextBoxes, which has twice as many priors"),
            Option("fork", "faceboxes", "if it was written for FaceBoxes, which has more where min_size is 32 or 64"),
        ),
    )


def refuse_polygons(param: Any) -> None:
    """Raises LayerError where a message has TextBoxes++'s use_polygon."""
    if param.HasField("use_polygon"):
        raise LayerError(
            "TextBoxes++ has polygons or turned boxes beside its boxes, which are not built here",
            expected="SSD's boxes, of four numbers each",
            received=f"use_polygon: {str(param.use_polygon).lower()}",
            fix="Cut the net off before this layer, and decode its bottoms yourself.",
        )


def are_scores(priors: Shape, fourth: Shape = (), *more: Shape) -> bool:
    """Whether the fourth bottom holds two scores for each prior, as RefineDet's does, and no image, as SSD's."""
    size, values = count(priors[2:]), count(fourth[1:])
    return bool(fourth) and set(fourth[2:]) <= {1} and None not in (size, values) and values == size // 2  # type: ignore[operator]


def check_own_predictions(shapes: Sequence[Shape], share_location: bool) -> None:
    """Raises ShapeError unless RefineDet's scores and locations of the priors fit the others."""
    _, scores, priors, *own = shapes
    size = count(priors[2:])
    for shape, values in zip(own, (2, 4), strict=False):
        same_shape(scores[:1], shape[:1], "all predictions must have the same batch size")
        wanted = None if size is None else size // 4 * values
        check_size(count(shape[1:]), wanted, "the number of the priors' own predictions does not match the priors")
    if len(own) > 1 and not share_location:
        raise LayerError("shifted priors are for all classes", expected="share_location: true")
