"""From pictures to what a net takes, as operations of the exported graph."""

from __future__ import annotations

import tensorflow as tf

from keras_caffe.converters.preprocessing import FittedPreprocessing


def pictures(fitted: FittedPreprocessing, x: tf.Tensor, whole: bool = False) -> tf.Tensor:
    """(N, H, W, C) red-green-blue or grey -> what the net takes, (N, H', W', C); whole: round after resizing."""
    x = tf.reverse(x, [-1]) if fitted.bgr else x
    if fitted.resize:
        x = tf.image.resize(tf.cast(x, "float32"), fitted.resize, "bilinear", antialias=False)
        x = tf.round(x) if whole else x
    if fitted.crop:
        x = _centre(tf.cast(x, "float32"), fitted.crop)
    return (tf.cast(x, "float32") - fitted.mean) * tf.constant(fitted.scale, "float32")


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
        lambda: tf.io.decode_jpeg(data, channels, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_png(data, channels),
    )
    return tf.ensure_shape(picture, (None, None, channels))


def _centre(x: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """The middle (N, *size, C); the odd pixel is left over at the end, as in Caffe. Smaller pictures are refused."""
    known = x.shape[1:3] if None not in x.shape[1:3] else tf.unstack(tf.shape(x)[1:3])
    tf.debugging.assert_greater_equal(known, size, message="pictures are smaller than the crop")
    top, left = ((n - cut) // 2 for n, cut in zip(known, size, strict=True))
    return x[:, top : top + size[0], left : left + size[1]]
