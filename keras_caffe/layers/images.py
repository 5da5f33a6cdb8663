"""What layers of images check."""

from __future__ import annotations

from keras_caffe.errors import ShapeError
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
