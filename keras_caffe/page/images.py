"""Pictures as a net's input."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from keras_caffe.converters.infer import Plan
from keras_caffe.converters.model import CaffeModel
from keras_caffe.converters.pictures import read_image, resized
from keras_caffe.converters.preprocessing import Preprocessing
from keras_caffe.errors import NetError, ShapeError
from keras_caffe.known import Known
from keras_caffe.shapes import known


def picture_input(plan: Plan) -> tuple[str, tuple[int, int, int]]:
    """The input that takes a picture, and its (C, H, W): the first with one or three channels.

    Raises:
        NetError: the net takes none.
    """
    shapes = {plan.net.values[value].blob: plan.shapes[value] for value in plan.inputs}
    for name, shape in shapes.items():
        if len(shape) == 4 and shape[1] in (1, 3) and all(shape[1:]):
            channels, height, width = known(shape[1:])
            return name, (channels, height, width)
    raise NetError(
        "the net takes no picture", expected="an input (N, C, H, W) with 1 or 3 channels", received=shapes or "no input"
    )


def prepared(model: CaffeModel, image: Any, mean: Any = 0.0, scale: float = 1.0) -> tuple[str, np.ndarray]:
    """The input that takes the picture, and the picture as its batch.

    Args:
        model: a loaded net.
        image: a picture's path, or an array (C, H, W) as the net takes it.
        mean: what is subtracted from a picture's 0 to 255: one number, one for each channel, blue first, an array, or a
            `.binaryproto` or `.npy` file.
        scale: factor after that.

    Returns:
        The input's name and (N, C, H, W) in Caffe's order; the pictures of a batch that the net fixes are all the same.

    Raises:
        NetError, ShapeError: the net takes no picture, or another array. ReadError, DataError: there is none.
    """
    name, shape = picture_input(model.plan)
    values = pixels(image, shape) if isinstance(image, str | os.PathLike) else np.asarray(image, "float32")
    if values.shape != shape:
        raise ShapeError("the picture does not fit the net's input", expected=shape, received=values.shape)
    if isinstance(image, str | os.PathLike):
        fitted = Preprocessing(mean=mean, scale=scale).fitted((1, *shape))
        values = (values - fitted.mean.transpose(2, 0, 1)) * np.float32(fitted.scale)
    batch = 1 if model.plan.dynamic else model.caffe_shapes[name][0] or 1
    return name, np.repeat(values[None].astype("float32"), batch, 0)


def fed_as(channels: int, mean: Any, scale: float) -> str:
    """In words, what a net is given of a picture's file."""
    words = ["blue first" if channels == 3 else "grey", "0 to 255"]
    if isinstance(mean, str | os.PathLike):
        words.append(f"minus {Path(mean).name}")
    elif np.size(mean) > channels:
        words.append("minus a picture")
    elif np.any(mean):
        words.append(f"minus {', '.join(f'{value:g}' for value in np.ravel(mean))}")
    return ", ".join(words) + (f", times {scale:g}" if scale != 1 else "")


def suggested(net: Known, channels: int, mean: Any, scale: float) -> bool:
    """Whether a net's publishers may mean the same; of the mean, only whether there is one."""
    some = isinstance(mean, str | os.PathLike) or bool(np.any(mean))
    wanted = net.mean is None or any(net.mean)
    return (channels == 1 or net.channels == "BGR") and some == wanted and bool(np.isclose(scale, net.scale))


def pixels(path: str | os.PathLike[str], shape: tuple[int, int, int]) -> np.ndarray:
    """A picture of a file at the size of a net's input (C, H, W), blue first, 0 to 255."""
    return resized(read_image(str(path), shape[0]), shape[1:]).transpose(2, 0, 1)
