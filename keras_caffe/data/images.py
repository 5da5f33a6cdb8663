"""Compressed images as OpenCV gives them to Caffe: 8 bits, blue-green-red, the bilinear resize of cv::resize."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from keras_caffe.converters.pictures import from_cmyk, gray
from keras_caffe.data.image_size import BMP, GIF, JPEG, PNG, check_pixels, has_four_colours, stated_pixels
from keras_caffe.errors import DataError

NATIVE, GRAY, COLOR = 0, 1, 3
TIFF = (b"II*\0", b"MM\0*")
KINDS, EXPECTED = (JPEG, PNG, BMP, GIF), "a JPEG, PNG, BMP or GIF"


def decode(data: Any, channels: int = NATIVE) -> np.ndarray:
    """(H, W, C) uint8, C = 1, 3 (blue-green-red) or 4 (and alpha).

    Args:
        data: the bytes of a JPEG, PNG, BMP or GIF file.
        channels: 0 as stored, 1 grey, 3 colour.

    Raises:
        DataError: they are no such image, one of 16 bits where Caffe takes none, or one that would unpack to too much.
    """
    data = bytes(data)
    if not data.startswith(KINDS):  # of which some TensorFlows decode more
        raise DataError(
            "the image cannot be decoded", expected=EXPECTED, received=f"bytes that begin with {data[:8]!r}"
        )
    try:
        check_pixels(stated_pixels(data), data)
        if has_four_colours(data):
            return like_opencv(with_pillow(data, "JPEG", from_cmyk)[..., ::-1], channels, png=False)
        if data.startswith(JPEG):
            return decode_jpeg(data, channels).numpy()
        bits16 = data.startswith(PNG) and len(data) > 24 and data[24] == 16
        if bits16 and channels == NATIVE:
            raise DataError(
                "the image has 16 bits per channel", expected="8 bits", fix="Set force_color or force_gray."
            )
        image = tf.io.decode_image(data, expand_animations=False).numpy()
    except tf.errors.OpError as error:
        reason = str(error.message).split("}} ")[-1].split(" [Op:")[0]
        raise DataError("the image cannot be decoded", expected=EXPECTED, received=reason) from None
    return like_opencv(image, channels, data.startswith(PNG))


def decode_wide(data: bytes) -> np.ndarray:
    """(H, W, 1 to 4) red-green-blue as stored: uint8, of PNG and TIFF also uint16, of TIFF also float32.

    Raises:
        DataError: the data are no such image, or a TIFF and Pillow is missing.
    """
    if data.startswith(TIFF):
        return _decode_tiff(data)
    if data.startswith(PNG) and len(data) > 24 and data[24] == 16:
        check_pixels(stated_pixels(data), data)
        try:
            return tf.io.decode_png(data, dtype=tf.uint16).numpy()
        except tf.errors.OpError as error:
            raise DataError("the image cannot be decoded", expected="a PNG", received=error.message) from None
    if has_four_colours(data):
        return with_pillow(data, "JPEG", lambda image: np.asarray(image.convert("RGB")))  # scikit-image's numbers
    pixels = decode(data, NATIVE)
    return pixels if pixels.shape[2] == 1 else np.concatenate([pixels[..., 2::-1], pixels[..., 3:]], 2)


def _decode_tiff(data: bytes) -> np.ndarray:
    pixels = with_pillow(data, "TIFF", lambda image: np.asarray(image if _is_wide(image) else image.convert("RGB")))
    pixels = pixels.astype(np.uint16) if pixels.dtype.kind == "i" else pixels  # modes I have 16 bits in a TIFF
    return pixels.reshape(*pixels.shape[:2], -1)


def _is_wide(image: Any) -> bool:
    return image.mode.startswith(("I", "F", "L", "RGB"))


def with_pillow(data: bytes, format: str, read: Callable[[Any], np.ndarray]) -> np.ndarray:
    """What `read` makes of an image that TensorFlow does not decode.

    Raises:
        DataError: Pillow is missing, or the data are no such image.
    """
    kind = "a JPEG of four colours (CMYK)" if format == "JPEG" else f"a {format}"
    try:
        from PIL import Image
    except ImportError:
        fix = "Install it with `pip install 'keras-caffe[images]'`."
        raise DataError(f"Pillow is needed to decode {kind}", fix=fix) from None
    try:
        with Image.open(io.BytesIO(data), formats=(format,)) as image:
            check_pixels(image.width * image.height, data)
            return read(image)
    except DataError:
        raise
    except Exception as error:  # Pillow raises whatever it stumbles on
        raise DataError("the image cannot be decoded", expected=kind, received=str(error)) from None


def decode_jpeg(data: Any, channels: int) -> Any:
    """A JPEG with the arithmetic of OpenCV's decoder: a tensor (H, W, C), blue-green-red."""
    image = tf.io.decode_jpeg(data, channels=channels, dct_method="INTEGER_ACCURATE")
    return image if channels == GRAY else image[..., ::-1]


def like_opencv(image: np.ndarray, channels: int, png: bool = True) -> np.ndarray:
    """(H, W, 1 to 4), red-green-blue -> what OpenCV makes of it for the number of channels asked for."""
    if image.shape[2] == 2:  # grey and alpha
        image = image[:, :, [0, 0, 0, 1]]
    if image.shape[2] == 4 and channels == NATIVE:
        return image[:, :, [2, 1, 0, 3]]
    image = image[:, :, 2::-1]
    if channels == GRAY and image.shape[2] == 3:
        return gray(image, png)
    return np.repeat(image, 3, 2) if channels == COLOR and image.shape[2] == 1 else image
