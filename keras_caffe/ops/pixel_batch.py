"""Batches of decoded images in a TensorFlow graph (data_transformer.cpp)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from keras_caffe.layout import DATA_FORMATS
from keras_caffe.ops import native


def pixel_batch(
    images: Sequence[Any],
    windows: Any,
    mean: Any = None,
    *,
    size: Sequence[int],
    scale: float = 1.0,
    data_format: str = "channels_last",
) -> Any:
    """Crops, mirrors and scales: y = (x - mean) scale of a window of each image, the mean read where x comes from.

    Args:
        images: (H, W, C) uint8 each, red-green-blue or grey, as TensorFlow decodes them; their sizes may differ.
        windows: (N, 3) integers: whether an image is mirrored, first row and first column of its window.
        mean: None, one number, C, or those of a window in the order of the batch.
        size: (C, height, width) of the windows.
        scale: factor.
        data_format: order of the batch's axes.

    Returns:
        The float32 batch, blue-green-red.

    Raises:
        tf.errors.InvalidArgumentError: a window lies outside of its image.
    """
    import tensorflow as tf

    mean = np.zeros(0, np.float32) if mean is None else np.asarray(mean, np.float32)
    kernel = native.operation("PixelBatch")
    options: dict[str, Any] = {"size": list(size), "scale": scale, "data_format": data_format}
    return (kernel or pixel_batch_twin)(images=list(images), windows=tf.cast(windows, tf.int32), mean=mean, **options)


def pixel_batch_twin(
    images: Sequence[Any], windows: Any, mean: Any, size: Sequence[int], scale: float, data_format: str
) -> Any:
    """`pixel_batch` without its native kernel, compiled by XLA."""
    pixels = cut(images, windows, size[1:])
    pixels.set_shape((len(images), *size[1:], size[0]))
    last = data_format == DATA_FORMATS[0]
    if mean.size > 1:
        whole = (*size[1:], size[0]) if last else tuple(size)
        mean = mean.reshape(whole if mean.size > size[0] else (1, 1, -1) if last else (-1, 1, 1))
    given = mean if mean.size else None
    if last:
        return _compiled(bgr=True, across=2)(pixels, windows[:, 0] != 0, given, scale)
    return _compiled(bgr=False, across=3)(_planes()(pixels), windows[:, 0] != 0, given, scale)


def cut(images: Sequence[Any], windows: Any, size: Sequence[int]) -> Any:
    """(N, height, width, C): the images' windows, not mirrored."""
    import tensorflow as tf

    begins = tf.unstack(tf.pad(tf.cast(windows, tf.int32)[:, 1:], [[0, 0], [0, 1]]), len(images))
    return tf.stack([tf.slice(image, begin, [*size, -1]) for image, begin in zip(images, begins, strict=True)])


def arithmetic(windows: Any, mirrored: Any, mean: Any, scale: float, across: int) -> Any:
    """uint8 -> float32: (x - mean) scale, reversed along the axis `across` where mirrored."""
    import tensorflow as tf

    values = tf.cast(windows, tf.float32)
    if mean is not None:
        values -= mean
    if scale != 1:
        values *= np.float32(scale)
    return tf.where(mirrored[:, None, None, None], tf.reverse(values, [across]), values)


@cache
def _compiled(bgr: bool, across: int) -> Callable[..., Any]:
    import tensorflow as tf

    def apply(pixels: Any, mirrored: Any, mean: Any, scale: float) -> Any:
        return arithmetic(pixels[..., ::-1] if bgr else pixels, mirrored, mean, scale, across)

    return tf.function(apply, jit_compile=True)


@cache
def _planes() -> Callable[[Any], Any]:
    """(N, h, w, C), red-green-blue -> (N, C, h, w), blue-green-red; a pass over 8 bits first halves the time of all."""
    import tensorflow as tf

    return tf.function(lambda pixels: tf.transpose(pixels[..., ::-1], (0, 3, 1, 2)), jit_compile=True)
