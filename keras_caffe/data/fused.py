"""Mirror, mean, scale and layout of a batch of 8-bit windows in one pass, compiled by XLA."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf

from keras_caffe.data.augment import Augment
from keras_caffe.ops.pixel_batch import arithmetic


class Fused:
    """uint8 windows (N, C, h, w) -> float32 batch: y = (x - mean) scale, some mirrored, as `Augment.apply` does it.

    Args:
        augment: the transformation; one mean lies below all of its windows.
        shape: (C, H, W) of the images before the crop.
        data_format: of the result.
    """

    def __init__(self, augment: Augment, shape: Any, data_format: str) -> None:
        self.last: bool = data_format == "channels_last"
        self.scale: float = augment.scale
        self.mean: np.ndarray | None = window_mean(augment, shape, data_format)

    def apply(self, windows: Any, mirrored: Any) -> Any:
        return _compiled(self.last)(windows, mirrored, self.mean, self.scale)


@cache
def _compiled(last: bool) -> Any:
    """One function for all data sets: TensorFlow never lets go of what XLA compiled."""

    def apply(windows: Any, mirrored: Any, mean: Any, scale: float) -> Any:
        windows = tf.transpose(windows, (0, 2, 3, 1)) if last else windows
        return arithmetic(windows, mirrored, mean, scale, 2 if last else 3)

    return tf.function(apply, jit_compile=True)


def window_mean(augment: Augment, shape: Any, data_format: str) -> np.ndarray | None:
    """The mean below all windows of images (C, H, W), in the order of a batch; None if nothing is subtracted."""
    if augment.mean is None:
        return None
    mean = augment.cropped(augment.mean, augment.placements(np.zeros(1, np.int64), [shape])[0])
    return mean.transpose(1, 2, 0) if data_format == "channels_last" else mean
