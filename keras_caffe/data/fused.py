"""Mirror, mean, scale and layout of a batch of 8-bit windows in one pass or two, compiled by XLA."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from keras_caffe.data.augment import Augment


class Fused:
    """uint8 windows -> float32 batch: y = (x - mean) scale, some mirrored. The values are those of `Augment.apply`.

    Args:
        augment: the transformation; its mean must be the same for all windows.
        shape: (C, H, W) of the images before the crop.
        data_format: of the result.
        pixels: whether windows come as (N, h, w, C), red-green-blue, and not as (N, C, h, w).
    """

    def __init__(self, augment: Augment, shape: Any, data_format: str, pixels: bool = False) -> None:
        last = data_format == "channels_last"
        self.pixels, self.turned = pixels and last, last and not pixels
        self.across, self.scale = 2 if last else 3, augment.scale
        mean = augment.mean
        if mean is not None:
            plan = augment.plans(np.zeros(1, np.int64), [shape])[0]
            mean = augment.cropped(mean, plan)
            mean = mean.transpose(1, 2, 0) if last else mean
        self.mean = mean
        self.apply = self._arithmetic = tf.function(self._apply, jit_compile=True)
        if pixels and not last:  # two passes, the first over 8 bits only, take half the time of one
            self.apply = lambda windows, mirrored: self._arithmetic(_planes(windows), mirrored)

    @staticmethod
    def suits(augment: Augment) -> bool:
        """Whether the mean is the same for all windows, so that XLA can hold it."""
        mean = augment.mean
        return mean is None or mean.shape[1:] == (1, 1) or not (augment.train and augment.crop)

    def _apply(self, windows: Any, mirrored: Any) -> Any:
        windows = windows[..., ::-1] if self.pixels else windows
        windows = tf.transpose(windows, (0, 2, 3, 1)) if self.turned else windows
        values = tf.cast(windows, tf.float32)
        if self.mean is not None:
            values -= self.mean
        if self.scale != 1:
            values *= np.float32(self.scale)
        return tf.where(mirrored[:, None, None, None], tf.reverse(values, [self.across]), values)


@tf.function(jit_compile=True)
def _planes(pixels: Any) -> Any:
    """(N, h, w, C), red-green-blue -> (N, C, h, w), blue-green-red."""
    return tf.transpose(pixels[..., ::-1], (0, 3, 1, 2))
