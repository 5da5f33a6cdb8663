"""What layers of images have in common: shapes and sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.shapes import Shape, merge_shapes


def check_images(type: str, *shapes: Shape, axes: int = 4) -> None:
    """Raises ShapeError unless each bottom of a layer of this type has so many axes."""
    for shape in shapes:
        if len(shape) != axes:
            raise ShapeError(f"{type} needs bottoms with {axes} axes", received=shape)


def warped_shape(type: str, image: Shape, places: Shape) -> Shape:
    """The top of a layer that looks up each of its pixels in an image (N, H, W, C), at places (N, H, W, 2).

    Raises:
        ShapeError: other shapes.
    """
    check_images(type, image, places)
    merge_shapes((*image[:3], 2), places, f"{type} needs a column and a row for each pixel of the image")
    return image


def resized_shape(type: str, shapes: Sequence[Shape], size: Sequence[int] | None) -> Shape:
    """The top of a layer whose size is stated, or else is that of its second bottom.

    Raises:
        LayerError: no size, or two.
    """
    if (size is None) != (len(shapes) == 2):
        received = "none" if size is None else "both"
        raise LayerError(f"the size of {type}", expected="either a size or a second bottom", received=received)
    high, wide = size or shapes[1][1:3]
    return (shapes[0][0], high, wide, shapes[0][3])


def wanted_size(inputs: Any, size: Sequence[int] | None) -> tuple[Any, Sequence[Any]]:
    """The image, and the height and width that it is to have: those stated, or the second bottom's."""
    if size is not None:
        return inputs, size
    image, like = inputs
    return image, ops.shape(like)[1:3]
