"""From pictures to what a net takes, as operations of the exported graph."""

from __future__ import annotations

import tensorflow as tf

from keras_caffe.converters.preprocessing import FittedPreprocessing
from keras_caffe.converters.resize import BITS
from keras_caffe.ops.jpeg import decoded_jpeg


def pictures(fitted: FittedPreprocessing, x: tf.Tensor, whole: bool = False) -> tf.Tensor:
    """(N, H, W, C) red-green-blue or grey -> what the net takes, (N, H', W', C); whole: resize as 8-bit images."""
    if fitted.resize:
        if whole:
            x = resized(x, *fitted.resize)
        else:
            x = tf.image.resize(tf.cast(x, "float32"), fitted.resize, "bilinear", antialias=False)
    if fitted.crop:
        x = _centre(tf.cast(x, "float32"), fitted.crop)
    mean = fitted.mean[..., ::-1] if fitted.bgr else fitted.mean
    x = (tf.cast(x, "float32") - mean) * tf.constant(fitted.scale, "float32")
    return tf.reverse(x, [-1]) if fitted.bgr else x  # last: in 8 bits TensorFlow Lite subtracts wrongly behind it


def resized(x: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """(N, H, W, C) uint8 -> (N, height, width, C) int32: `converters.resize.resize` as a graph for any H and W."""
    x = tf.cast(x, "int32")
    high, wide = tf.unstack(tf.shape(x)[1:3])
    shift = tf.bitwise.right_shift

    def halved() -> tf.Tensor:
        blocks = tf.reshape(x, (-1, height, 2, width, 2, x.shape[3]))
        return shift(tf.reduce_sum(blocks, (2, 4)) + 2, 2)

    def weighted() -> tf.Tensor:
        left, right, near, far = _weights(wide, width, True)
        columns = tf.gather(x, left, axis=2) * near[:, None] + tf.gather(x, right, axis=2) * far[:, None]
        columns = shift(columns, 4)
        above, below, near, far = _weights(high, height, False)
        upper = tf.gather(columns, above, axis=1) * near[:, None, None]
        lower = tf.gather(columns, below, axis=1) * far[:, None, None]
        return shift(shift(upper, 16) + shift(lower, 16) + 2, 2)

    half = tf.logical_and(tf.equal(high, 2 * height), tf.equal(wide, 2 * width))
    return tf.ensure_shape(tf.cond(half, halved, weighted), (None, height, width, x.shape[3]))


def _weights(size: tf.Tensor, new: int, whole_at_edges: bool) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """For each new pixel of one axis: the two old ones beside it, and their weights, as in `converters.resize`."""
    step = 1 / (tf.constant(new, "float64") / tf.cast(size, "float64"))
    place = tf.cast((tf.range(new, dtype="float64") + 0.5) * step - 0.5, "float32")
    first = tf.floor(place)
    part, first = place - first, tf.cast(first, "int32")
    if whole_at_edges:
        part = tf.where(tf.logical_or(first < 0, first >= size - 1), 0.0, part)
    near, far = (tf.cast(tf.round(weight * float(1 << BITS)), "int32") for weight in (1 - part, part))
    return tf.clip_by_value(first, 0, size - 1), tf.clip_by_value(first + 1, 0, size - 1), near, far


def encoded(fitted: FittedPreprocessing, x: tf.Tensor) -> tf.Tensor:
    """(N,) JPEG or PNG files -> what the net takes."""
    size = fitted.crop or fitted.resize or (None, None)

    def one(data: tf.Tensor) -> tf.Tensor:
        return pictures(fitted, decoded(data, fitted.channels)[None], whole=True)[0]

    return tf.map_fn(one, x, fn_output_signature=tf.TensorSpec((*size, fitted.channels), "float32"))


def decoded(data: tf.Tensor, channels: int) -> tf.Tensor:
    """One JPEG or PNG file as (H, W, channels) uint8; a JPEG with the accurate transform that OpenCV takes."""
    picture = tf.cond(
        tf.io.is_jpeg(data),
        lambda: decoded_jpeg(data, channels),
        lambda: tf.io.decode_png(data, channels),
    )
    return tf.ensure_shape(picture, (None, None, channels))


def _centre(x: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """The middle (N, *size, C); the odd pixel is left over at the end, as in Caffe. Smaller pictures are refused."""
    known = x.shape[1:3] if None not in x.shape[1:3] else tf.unstack(tf.shape(x)[1:3])
    tf.debugging.assert_greater_equal(known, size, message="pictures are smaller than the crop")
    top, left = ((n - cut) // 2 for n, cut in zip(known, size, strict=True))
    return x[:, top : top + size[0], left : left + size[1]]
