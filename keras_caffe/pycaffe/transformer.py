"""pycaffe's Transformer: images to what a net's input takes, and back (python/caffe/io.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from keras_caffe.errors import ShapeError, UnknownNameError, instead
from keras_caffe.pycaffe.resize import resize_image


class Transformer:
    """Preprocesses images: resize, transpose, swap channels, times raw_scale, minus mean, times input_scale.

    Args:
        inputs: {input blob: its shape (N, C, H, W), or (N, C, L, H, W) of clips of L images as in video-caffe}.

    Caffe: python/caffe/io.py
    """

    def __init__(self, inputs: Mapping[str, Sequence[int]]) -> None:
        self.inputs = inputs
        self.transpose: dict[str, Sequence[int]] = {}
        self.channel_swap: dict[str, Sequence[int]] = {}
        self.raw_scale: dict[str, float] = {}
        self.mean: dict[str, np.ndarray] = {}
        self.input_scale: dict[str, float] = {}
        self.is_flow: dict[str, bool] = {}

    def preprocess(self, in_: str, data: np.ndarray) -> np.ndarray:
        """An image as the input takes it.

        Args:
            in_: name of the input blob.
            data: (H, W, C), or (H, W, C, L) of a clip.

        Returns:
            float32, for a net (C, H, W) if `set_transpose(in_, (2, 0, 1))` was called,
            for clips (C, L, H, W) by (2, 3, 0, 1).
        """
        size = self._shape(in_)[2:][-2:]
        image = np.array(data, np.float32)  # the caller's image stays as it is
        if image.shape[:2] != size:
            image = resize_image(image, size)
        if in_ in self.transpose:
            image = image.transpose(self.transpose[in_])
        if in_ in self.channel_swap:
            image = image[list(self.channel_swap[in_])]
        if in_ in self.raw_scale:
            image *= np.float32(self.raw_scale[in_])
        if in_ in self.mean:
            image -= self.mean[in_]  # in place: float32 whatever the mean is
        if in_ in self.input_scale:
            image *= np.float32(self.input_scale[in_])
        return image

    def deprocess(self, in_: str, data: np.ndarray) -> np.ndarray:
        """The image that `preprocess` made an input of; float32, or float64 if `data` is.

        Without input_scale pixels from 0 to 1 come back as such; in Caffe some are 1e-8 below 0.
        """
        self._shape(in_)
        image = np.array(data, np.result_type(np.asarray(data), np.float32)).squeeze()
        if in_ in self.input_scale:
            image /= np.float32(self.input_scale[in_])
        if in_ in self.mean:
            mean = self.mean[in_]
            image += mean
            # What rounding took from a black pixel is no colour: with a float64 mean it would come back below 0.
            image[np.abs(image) < np.spacing(np.abs(mean).astype(image.dtype))] = 0
        if in_ in self.raw_scale:
            image /= np.float32(self.raw_scale[in_])
        if in_ in self.channel_swap:
            image = image[np.argsort(self.channel_swap[in_])]
        if in_ in self.transpose:
            image = image.transpose(np.argsort(self.transpose[in_]))
        return image

    def set_transpose(self, in_: str, order: Sequence[int]) -> None:
        """The order of the image's axes in the input, e.g. (2, 0, 1) for (H, W, C) -> (C, H, W)."""
        if len(order) != len(self._shape(in_)) - 1:
            raise ShapeError("the transpose has another number of axes than the input", received=tuple(order))
        self.transpose[in_] = order

    def set_channel_swap(self, in_: str, order: Sequence[int]) -> None:
        """The order of the channels in the input, e.g. (2, 1, 0) for red-green-blue -> blue-green-red."""
        if len(order) != self._shape(in_)[1]:
            raise ShapeError("the swap has another number of channels than the input", received=tuple(order))
        self.channel_swap[in_] = order

    def set_raw_scale(self, in_: str, scale: float) -> None:
        """A factor before the mean is subtracted, e.g. 255 for images from 0 to 1."""
        self._shape(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_: str, mean: np.ndarray) -> None:
        """What is subtracted: one value per channel (C), or a mean image (C, H, W), resized if need be."""
        shape, mean = self._shape(in_), np.asarray(mean)
        if mean.ndim == 1:
            if len(mean) != shape[1]:
                raise ShapeError("the mean has another number of channels", expected=shape[1], received=len(mean))
            mean = mean[:, np.newaxis, np.newaxis]
        else:
            mean = mean[np.newaxis] if mean.ndim == 2 else mean
            if mean.ndim != 3:
                raise ShapeError("the mean is not an image", expected="(C,) or (C, H, W)", received=mean.shape)
            if mean.shape != (shape[1], *shape[-2:]):
                mean = _resized(mean, shape[-2:])
        self.mean[in_] = mean[:, np.newaxis] if len(shape) == 5 else mean  # for each image of a clip

    def set_input_scale(self, in_: str, scale: float) -> None:
        """A factor after the mean was subtracted."""
        self._shape(in_)
        self.input_scale[in_] = scale

    def set_is_flow(self, in_: str, is_flow: bool) -> None:
        """Notes whether the input takes optical flow, as in the Caffe of LRCN; it changes nothing here or there."""
        self._shape(in_)
        self.is_flow[in_] = is_flow

    def _shape(self, in_: str) -> tuple[int, ...]:
        if in_ not in self.inputs:
            raise UnknownNameError(f"{in_!r} is not one of the net inputs", **instead([in_], self.inputs))
        return tuple(self.inputs[in_])


def _resized(mean: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """A mean image (C, H, W) in another size, rounded where Caffe rounds: as float32 from 0 to 1."""
    low = mean.min()
    spread = mean.max() - low or 1.0
    from_0_to_1 = resize_image(((mean - low) / spread).transpose(1, 2, 0), size).transpose(2, 0, 1)
    return from_0_to_1 * np.float32(spread) + np.float32(low)
