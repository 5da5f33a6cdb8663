"""Pictures as a Caffe net takes them, like Caffe's classification example (examples/cpp_classification)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_caffe.converters.pictures import read_image, resized
from keras_caffe.converters.read import read_array, read_mean
from keras_caffe.errors import DataError


@dataclass(frozen=True)
class Preparation:
    """path -> (C, H, W): resized, blue-green-red or grey, 0 to 255; then (x - mean) scale.

    Args:
        shape: (C, H, W) of the net's input.
        mean: what is subtracted, (C, 1, 1) or (C, H, W).
        scale: what it is multiplied by then.
    """

    shape: tuple[int, int, int]
    mean: np.ndarray
    scale: float = 1.0

    def __call__(self, path: str) -> np.ndarray:
        pixels = resized(read_image(path, self.shape[0]), self.shape[1:])
        return (pixels.transpose(2, 0, 1) - self.mean) * np.float32(self.scale)

    def size(self, path: str) -> tuple[int, int]:
        """(height, width) of a picture itself."""
        height, width, _ = read_image(path, self.shape[0]).shape
        return height, width


def mean_of(text: str, shape: tuple[int, int, int]) -> np.ndarray:
    """The mean that `--mean` names, as `Preparation` takes it.

    Args:
        text: numbers for all channels or one for each, or a .npy or .binaryproto file. A mean picture of another size
            than the input gives one number for each channel, its mean.
        shape: (C, H, W) of the net's input.

    Raises:
        ReadError, DataError: the file is broken, or has another number of channels.
    """
    values = _numbers(text)
    mean = np.asarray(_read_mean(text) if values is None else values, "float32")
    mean = mean.reshape(mean.shape[1:]) if mean.ndim == 4 and mean.shape[0] == 1 else mean
    if values is not None and len(values) == 1:
        return np.full((shape[0], 1, 1), mean[0])
    if mean.ndim not in (1, 3) or mean.shape[0] != shape[0]:
        raise DataError("the mean does not fit the net's input", where=text, expected=shape, received=mean.shape)
    return mean if mean.shape == tuple(shape) else mean.reshape(shape[0], -1).mean(1)[:, None, None]


def _numbers(text: str) -> list[float] | None:
    if not re.fullmatch(r"[-+.\deE]+(,[-+.\deE]+)*", text):
        return None
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        return None


def _read_mean(file: str) -> np.ndarray:
    return (read_array if Path(file).suffix == ".npy" else read_mean)(file)
