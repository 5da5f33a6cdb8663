"""Crop, mirror, mean and scale of single images, as Caffe's data transformer (src/caffe/data_transformer.cpp)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np

from keras_caffe.data.draws import draws
from keras_caffe.errors import DataError, LayerError
from keras_caffe.layers.records import crop_window
from keras_caffe.ops.window import transform_window

WORD = 8  # bytes
RECENT = 16  # sizes of windows whose rows of means are kept


class Placement(NamedTuple):
    """What is drawn for one image: whether it is mirrored, and where its window begins."""

    mirror: bool
    top: int
    left: int


@dataclass(frozen=True, eq=False)
class Augment:
    """(C, H, W) -> float32 (C, h, w): y = (x - mean) scale of a window of x, mirrored or not.

    The mean is read where the pixel comes from. In phase TRAIN the window lies anywhere, in TEST in the centre; an
    image is mirrored with probability 1/2 in both.

    Args:
        crop: (h, w) of the window; None for the whole image.
        mirror: whether images are mirrored at random.
        scale: factor.
        mean: None, (1 or C, 1, 1), or (C, H, W).
        train: whether windows are drawn at random.
        seed: for the draws.
    """

    crop: tuple[int, int] | None = None
    mirror: bool = False
    scale: float = 1.0
    mean: np.ndarray | None = None
    train: bool = False
    seed: int = 0

    @property
    def one_mean(self) -> bool:
        """Whether one mean lies below all windows of images of one size."""
        return self.mean is None or self.mean.shape[1:] == (1, 1) or not (self.train and self.crop)

    def size(self, shape: Sequence[int]) -> tuple[int, ...]:
        """(C, h, w) of the result for an image (C, H, W)."""
        return (shape[0], *(self.crop or shape[1:]))

    def check(self, shape: Sequence[int]) -> None:
        """Refuses an image of a shape that Caffe refuses.

        Raises:
            DataError: it is smaller than the window, or the mean is that of another shape.
        """
        if self.crop and (self.crop[0] > shape[1] or self.crop[1] > shape[2]):
            raise DataError(
                "the image is smaller than the crop",
                expected=f"at least {self.crop[0]} x {self.crop[1]} (height x width)",
                received=f"{shape[1]} x {shape[2]}",
                fix="Make crop_size smaller, or resize the images.",
            )
        if self.mean is None or self.mean.shape[0] == 1 == self.mean.shape[1] * self.mean.shape[2]:
            return
        wanted: Any
        if self.mean.shape[1:] == (1, 1) and (shape[1:] != (1, 1) or self.mean.shape[0] != shape[0]):
            wanted, given, fix = shape[0], self.mean.shape[0], "Give one mean_value, or one for each channel."
        else:
            wanted, given, fix = (
                tuple(shape),
                self.mean.shape,
                "The mean must have the size of the image before the crop.",
            )
        if wanted != given:
            raise DataError("the mean does not fit the image", expected=wanted, received=given, fix=fix)

    def placements(self, numbers: np.ndarray, shapes: Sequence[Sequence[int]]) -> list[Placement]:
        """What is drawn for the records with these running numbers, whose images are (C, H, W)."""
        random = self.draws(numbers).tolist()
        return [self._plan(drawn, shape) for drawn, shape in zip(random, shapes, strict=True)]

    def draws(self, numbers: np.ndarray) -> np.ndarray:
        """(N, 3): what decides about mirror, top and left of each record."""
        return draws(self.seed, numbers, 3)

    def _plan(self, drawn: Sequence[int], shape: Sequence[int]) -> Placement:
        height, width = self.crop or shape[1:]
        free = shape[1] - height, shape[2] - width
        top, left = (d % (f + 1) if self.train else f // 2 for d, f in zip(drawn[1:], free, strict=True))
        return Placement(self.mirror and bool(drawn[0] & 1), top, left)

    def apply(self, image: np.ndarray, placement: Placement, out: np.ndarray) -> None:
        """Writes the transformed image; `out` is (C, h, w), in memory in that order or as (h, w, C)."""
        last = not out.flags.c_contiguous
        out = out.transpose(1, 2, 0) if last else out
        window, mirror = self.cropped(image, placement), placement.mirror
        below = None if self.mean is None else self._below(self.mean, placement, last, out)
        if transform_window(window, below, out, mirror=mirror, scale=self.scale, last=last):
            return
        out[...] = _pixels(window, mirror) if last else _mirrored(window) if mirror else window
        if below is not None:
            out -= below
        if self.scale != 1:
            out *= np.float32(self.scale)

    def _below(self, mean: np.ndarray, placement: Placement, last: bool, out: np.ndarray) -> np.ndarray:
        """The mean below a window, mirrored and ordered like what is written to `out`; a row if all rows are alike."""
        if mean.shape[1:] == (1, 1):
            return self._row(last, *out.shape[1:])
        below, (height, width) = self._means[placement.mirror, last], out.shape[:2] if last else out.shape[1:]
        left = mean.shape[2] - width - placement.left if placement.mirror else placement.left
        rows, columns = slice(placement.top, placement.top + height), slice(left, left + width)
        return below[rows, columns] if last else below[:, rows, columns]

    @cached_property
    def _row(self) -> Callable[..., np.ndarray]:
        """A row of one mean, or of one for each channel, by whether channels lie last and the last two axes' sizes."""

        def row(last: bool, *sizes: int) -> np.ndarray:
            mean = np.asarray(self.mean)
            return np.resize(mean, (1, *sizes)) if last else np.repeat(mean, sizes[1], axis=2)

        return lru_cache(maxsize=RECENT)(row)

    @cached_property
    def _means(self) -> dict[tuple[bool, bool], np.ndarray]:
        """The mean image by whether it is mirrored and whether its channels lie last."""
        kinds = {} if self.mean is None else {False: self.mean, True: self.mean[:, :, ::-1]}
        orders = {False: (0, 1, 2), True: (1, 2, 0)}
        return {
            (mirror, last): np.ascontiguousarray(mean.transpose(order))
            for mirror, mean in kinds.items()
            for last, order in orders.items()
        }

    def cropped(self, image: np.ndarray, placement: Placement) -> np.ndarray:
        """The part of an image, or of a mean of its size, that is kept; one that is cropped already stays as it is."""
        if not self.crop or image.shape[1:] in (self.crop, (1, 1)):
            return image
        return image[:, placement.top : placement.top + self.crop[0], placement.left : placement.left + self.crop[1]]

    def window(self, image: np.ndarray, placement: Placement) -> np.ndarray:
        """The part of an image that is kept, mirrored or not."""
        image = self.cropped(image, placement)
        return _mirrored(image) if placement.mirror else image


def _pixels(planes: np.ndarray, mirror: bool) -> np.ndarray:
    """(C, h, w) -> (h, w, C), mirrored or not; plane by plane, which is by far faster than all at once."""
    pixels = np.empty((*planes.shape[1:], planes.shape[0]), planes.dtype)
    for channel, plane in enumerate(planes):
        pixels[:, :: -1 if mirror else 1, channel] = plane
    return pixels


def _mirrored(planes: np.ndarray) -> np.ndarray:
    """(C, h, w) with its columns the other way round; bytes eight at a time, in half of NumPy's time."""
    if planes.dtype != np.uint8:
        return planes[:, :, ::-1]
    width = planes.shape[2]
    rows = np.zeros((*planes.shape[:2], -(-width // WORD) * WORD), np.uint8)
    rows[:, :, rows.shape[2] - width :] = planes
    return rows.view(np.uint64)[:, :, ::-1].byteswap().view(np.uint8)[:, :, :width]


def from_layer(layer: Any, mean: np.ndarray | None, train: bool, seed: int) -> Augment:
    """The transformation that a layer's transform_param asks for.

    Args:
        layer: a LayerParameter.
        mean: what its mean_file holds, if it has one.
        train: whether the phase is TRAIN.
        seed: for the draws.

    Raises:
        LayerError: the mean is not a single image.
    """
    param = layer.transform_param
    if mean is not None:
        if mean.ndim not in (3, 4) or mean.size != np.prod(mean.shape[-3:]):
            raise LayerError("the mean is not a single image", expected="(1, C, H, W)", received=mean.shape)
        mean = mean.reshape(mean.shape[-3:])
    elif param.mean_value:
        mean = np.array(param.mean_value, "float32").reshape(-1, 1, 1)
    return Augment(crop_window(param), param.mirror, param.scale, mean, train, seed)
