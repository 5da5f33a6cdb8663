"""JPEGs in graphs."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def decoded_jpeg(data: Any, channels: int = 0) -> Any:
    """A JPEG as (H, W, channels) red-green-blue or grey, as OpenCV decodes it; in a graph no JPEG of four colours."""
    colours = tf.io.extract_jpeg_shape(data)[2]
    problem = "keras_caffe: a JPEG of four colours (CMYK) cannot be decoded in a graph; save it as RGB"
    with tf.control_dependencies([tf.debugging.assert_less(colours, 4, message=problem)]):
        return tf.io.decode_jpeg(tf.identity(data), channels, dct_method="INTEGER_ACCURATE")
