"""Mirror, mean, scale and layout of a batch of 8-bit windows in one pass, compiled by XLA."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from keras_caffe.data.augment import Augment
from keras_caffe.ops.pixel_batch import arithmetic


class Fused:
    """uint8 windows (N, C, h, w) -> float32 batch: y = (x - mean) scale, some mirrored, as `Augment.apply` does it.

    Args:
        augment: the transformation; its mean must be the same for all windows.
        shape: (C, H, W) of the images before the crop.
        data_format: of the result.

    Attributes:
        mean: None, or that of a window in the order of the result.
    """

    def __init__(self, augment: Augment, shape: Any, data_format: str) -> None:
        self.last = data_format == "channels_last"
        self.scale, self.mean = augment.scale, augment.mean
        if self.mean is not None:
            plan = augment.placements(np.zeros(1, np.int64), [shape])[0]
            self.mean = augment.cropped(self.mean, plan)
            self.mean = self.mean.transpose(1, 2, 0) if self.last else self.mean
        self.apply = tf.function(self._apply, jit_compile=True)

    @staticmethod
    def suits(augment: Augment) -> bool:
        """Whether the mean is the same for all windows, so that XLA can hold it."""
        mean = augment.mean
        return mean is None or mean.shape[1:] == (1, 1) or not (augment.train and augment.crop)

    def _apply(self, windows: Any, mirrored: Any) -> Any:
        windows = tf.transpose(windows, (0, 2, 3, 1)) if self.last else windows
        return arithmetic(windows, mirrored, self.mean, self.scale, 2 if self.last else 3)
