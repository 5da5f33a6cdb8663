"""Shapes of what detectors take: locations, scores and priors."""

from __future__ import annotations

from collections.abc import Sequence

from keras_caffe.errors import LayerError, ShapeError
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
        check_size(count(locations[1:2]), size * sets, "the number of locations does not match the priors")
        check_size(count(scores[1:2]), size // 4 * num_classes, "the number of scores does not match the priors")
    check_single(locations, "the locations", 2)
    check_single(scores, "the scores", 2)


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
