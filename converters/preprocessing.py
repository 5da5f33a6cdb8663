"""From pictures to what a net takes: how, for exports to put it into their graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from operator import index
from pathlib import Path
from typing import Any

import numpy as np

from keras_caffe.converters.read import read_array, read_mean
from keras_caffe.errors import DataError, ExportError
from keras_caffe.shapes import Shape, known


@dataclass(frozen=True)
class Preprocessing:
    """Resize, centre crop, blue-green-red, then (x - mean) scale: what Caffe's tools do with a picture in TEST.

    Args:
        resize: (height, width) in pixels, or one number for both; bilinear between pixel centres, no smoothing, as
            OpenCV. Default: the size the net declares, unless there is a crop.
        crop: (height, width) of the centre that is kept, or one number for both; default: nothing is cut off.
        mean: what is subtracted: one number, one for each channel in the net's order (blue, green, red), an array
            (C, H, W) of the size before the crop, or a `.binaryproto` or `.npy` file of one.
        scale: factor after that.
        bgr: pictures come as red-green-blue and the net takes blue-green-red; no effect on grey pictures.
    """

    resize: int | Sequence[int] | None = None
    crop: int | Sequence[int] | None = None
    mean: Any = 0.0
    scale: float = 1.0
    bgr: bool = True

    @classmethod
    def of(cls, given: Any) -> Preprocessing:
        """From itself, a dict of its arguments, or a message with Caffe's transform_param.

        Raises:
            ExportError: anything else, or an argument that it does not have.
            ReadError: the transform_param's mean file is missing or broken.
        """
        if isinstance(given, cls):
            return given
        if hasattr(given, "DESCRIPTOR") and given.DESCRIPTOR.name == "TransformationParameter":
            crop = given.crop_size or None
            if given.mean_file:
                mean = read_mean(given.mean_file)
                return cls(mean.shape[-2:], crop, mean, given.scale)  # What the mean is of, Caffe's images have.
            return cls(crop=crop, mean=list(given.mean_value) or 0.0, scale=given.scale)
        names = [field.name for field in fields(cls)]
        if not isinstance(given, Mapping) or not set(given) <= set(names):
            raise ExportError(
                "preprocessing is not understood",
                expected=f"a dict with {', '.join(names)}",
                received=", ".join(map(str, given)) if isinstance(given, Mapping) else type(given).__name__,
            )
        return cls(**given)

    def fitted(self, shape: Shape) -> FittedPreprocessing:
        """For a net's input.

        Args:
            shape: (N, C, H, W) as the net declares it.

        Raises:
            ExportError: sizes or means that do not fit the input.
            ReadError: a mean file is missing or broken.
        """
        _, channels, *size = shape
        (channels,), crop = known([channels]), _pair(self.crop)
        resize = _pair(self.resize) or (None if crop or None in size else _pair(known(size)))
        made = crop or resize or size
        if any(n not in (None, m) for n, m in zip(size, made, strict=True)):
            raise ExportError("pictures do not get the size of the net's input", expected=size, received=made)
        if crop and resize and any(c > r for c, r in zip(crop, resize, strict=True)):
            raise ExportError("the crop is larger than the picture", expected=f"at most {resize}", received=crop)
        mean, scale = _mean(self.mean, channels, resize, crop), _scale(self.scale)
        return FittedPreprocessing(resize, crop, mean, scale, self.bgr and channels == 3, channels)


@dataclass(frozen=True, eq=False)
class FittedPreprocessing:
    """A Preprocessing for one input: sizes as pairs, the mean as (1 or H, 1 or W, C)."""

    resize: tuple[int, int] | None
    crop: tuple[int, int] | None
    mean: np.ndarray
    scale: float
    bgr: bool
    channels: int


def fitted_pictures(given: Any, shapes: Mapping[str, Shape]) -> dict[str, FittedPreprocessing]:
    """{the input that takes pictures: what is done with them}.

    Args:
        given: as `Preprocessing.of` takes it; None: no input takes pictures.
        shapes: {input blob: (N, C, H, W) as the net declares it}.

    Raises:
        ExportError: not exactly one input can be a picture; or as `Preprocessing.fitted`.
    """
    if given is None:
        return {}
    pictures = [blob for blob, shape in shapes.items() if len(shape) == 4]
    if len(pictures) != 1 or shapes[pictures[0]][1] not in (1, 3):
        expected = "one input (N, C, H, W) of 1 or 3 channels"
        raise ExportError("the net takes something other than pictures", expected=expected, received=shapes)
    return {pictures[0]: Preprocessing.of(given).fitted(shapes[pictures[0]])}


def prepared(fitted: FittedPreprocessing, pictures: np.ndarray) -> np.ndarray:
    """(N, C, H, W) pictures as the net takes them: what exported graphs are compared with."""
    x = pictures[:, ::-1] if fitted.bgr else pictures
    for axis, size in enumerate(fitted.resize or (), 2):
        x = _resized(x, axis, size)
    if fitted.crop:
        x = np.stack([centre(one.transpose(1, 2, 0), fitted.crop).transpose(2, 0, 1) for one in x])
    return np.asarray((x - fitted.mean.transpose(2, 0, 1)) * np.float32(fitted.scale), "float32")


def _resized(x: np.ndarray, axis: int, size: int) -> np.ndarray:
    """One axis in another size, linear between pixel centres, which lie at halves."""
    old = x.shape[axis]
    at = (np.arange(size, dtype="float32") + np.float32(0.5)) * np.float32(old / size) - np.float32(0.5)
    at = at.clip(0, old - 1)
    first = np.floor(at).astype(int)
    share = (at - first).astype("float32").reshape(-1, *[1] * (x.ndim - axis - 1))
    below, above = x.take(first, axis), x.take((first + 1).clip(max=old - 1), axis)
    return below + (above - below) * share


def centre(x: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The middle (*size, C) of (H, W, C). Raises DataError if that is smaller."""
    if x.shape[0] < size[0] or x.shape[1] < size[1]:
        raise DataError("the picture is smaller than the crop", expected=f"at least {size}", received=x.shape[:2])
    top, left = ((n - cut) // 2 for n, cut in zip(x.shape, size, strict=False))
    return x[top : top + size[0], left : left + size[1]]


def _pair(size: int | Sequence[int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    try:
        pair: Any = size if np.ndim(size) else (size, size)
        height, width = map(index, pair)
    except (TypeError, ValueError):
        height = width = 0
    if height <= 0 or width <= 0:
        raise ExportError("this is not a size in pixels", expected="one number, or height and width", received=size)
    return height, width


def _scale(given: Any) -> float:
    try:
        return float(given)
    except (TypeError, ValueError):
        raise ExportError("the scale is no number", expected="one real number", received=given) from None


def _array(given: Any) -> np.ndarray:
    try:
        return np.asarray(given).astype("float32", casting="same_kind" if np.iscomplexobj(given) else "unsafe")
    except (TypeError, ValueError):
        raise ExportError("the mean is no array of real numbers", received=given) from None


def _mean(given: Any, channels: int, resize: tuple[int, int] | None, crop: tuple[int, int] | None) -> np.ndarray:
    mean = _array(_read(given) if isinstance(given, (str, Path)) else given)
    mean = mean[0] if mean.ndim == 4 and len(mean) == 1 else mean
    if mean.ndim <= 1 and mean.size in (1, channels):
        return np.broadcast_to(mean, (1, 1, channels))
    if mean.ndim == 3 and mean.shape[0] == channels and mean.shape[1:] in ((1, 1), resize, crop):
        mean = mean.transpose(1, 2, 0)
        return mean if crop is None or mean.shape[:2] in ((1, 1), crop) else centre(mean, crop)
    size = ", ".join(map(str, resize or crop or ("H", "W")))
    raise ExportError(
        "the mean does not fit the pictures",
        expected=f"1 or {channels} numbers, or an array ({channels}, {size})",
        received=f"shape {mean.shape}",
    )


def _read(file: str | Path) -> np.ndarray:
    return (read_array if Path(file).suffix == ".npy" else read_mean)(file)
