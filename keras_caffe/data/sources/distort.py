"""SSD's changes of colour and its larger canvas (im_transforms.cpp, data_transformer.cpp of branch ssd)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_caffe.errors import DataError

HUES = 180  # of a full turn, as OpenCV counts them in 8 bits


def distort(image: np.ndarray, param: Any, random: np.random.Generator) -> np.ndarray:
    """(H, W, 3) uint8, blue-green-red: brightness, contrast, saturation, hue, order of channels, each at random.

    Raises:
        DataError: hue, saturation or the order is drawn for an image of other than three channels.
    """
    orders = ("brightness", "contrast", "saturation", "hue"), ("brightness", "saturation", "hue", "contrast")
    for what in orders[0] if random.random() > 0.5 else orders[1]:
        if random.random() < getattr(param, f"{what}_prob"):
            image = _STEPS[what](image, param, random)
    if random.random() < param.random_order_prob:
        image = _colour(image)[:, :, random.permutation(3)]
    return image


def expanded(
    image: np.ndarray, param: Any, fill: Sequence[float], random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray] | None:
    """The image somewhere on a larger canvas, and the canvas as a window of the image; None if it stays as it is."""
    if random.random() > param.prob or abs(param.max_expand_ratio - 1) < 1e-2:
        return None
    ratio = random.uniform(1, param.max_expand_ratio)
    height, width, channels = image.shape
    size = np.array([int(width * ratio), int(height * ratio)])
    left, top = np.floor(random.uniform(0, size - (width, height) + 1e-9)).astype(int)
    canvas = np.empty((size[1], size[0], channels), np.uint8)
    canvas[...] = np.array(fill or [0], np.float32).astype(np.uint8)
    canvas[top : top + height, left : left + width] = image
    start = np.array([-left / width, -top / height])
    return canvas, np.concatenate([start, start + size / (width, height)]).astype(np.float32)


def _colour(image: np.ndarray) -> np.ndarray:
    """The image, which must have three channels: grey has no hue, and OpenCV refuses it, too."""
    if image.shape[2] != 3:
        raise DataError(
            "distort_param changes the colours of an image that has none",
            expected="3 channels",
            received=image.shape[2],
            fix="Set force_color: true in transform_param.",
        )
    return image


def _rounded(values: np.ndarray) -> np.ndarray:
    return np.rint(values).clip(0, 255).astype(np.uint8)


def _brightness(image: np.ndarray, param: Any, random: np.random.Generator) -> np.ndarray:
    return _rounded(image + random.uniform(-param.brightness_delta, param.brightness_delta))


def _contrast(image: np.ndarray, param: Any, random: np.random.Generator) -> np.ndarray:
    return _rounded(image * random.uniform(param.contrast_lower, param.contrast_upper))


def _saturation(image: np.ndarray, param: Any, random: np.random.Generator) -> np.ndarray:
    return _in_hsv(image, 0.0, random.uniform(param.saturation_lower, param.saturation_upper))


def _hue(image: np.ndarray, param: Any, random: np.random.Generator) -> np.ndarray:
    return _in_hsv(image, random.uniform(-param.hue_delta, param.hue_delta) / HUES, 1.0)


def _in_hsv(image: np.ndarray, turn: float, factor: float) -> np.ndarray:
    hsv = tf.image.rgb_to_hsv(_colour(image)[..., ::-1].astype(np.float32) / 255).numpy()
    hsv = np.stack([(hsv[..., 0] + turn) % 1, (hsv[..., 1] * factor).clip(0, 1), hsv[..., 2]], -1)
    return _rounded(tf.image.hsv_to_rgb(hsv).numpy() * 255)[..., ::-1]


_STEPS = {"brightness": _brightness, "contrast": _contrast, "saturation": _saturation, "hue": _hue}
