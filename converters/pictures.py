"""Pictures from files, in the order of Caffe's nets, and at the size that a net takes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_caffe.converters.resize import resize
from keras_caffe.errors import DataError, unreadable

# Weights of blue, green and red, and what is added before the division by their sum: libpng's for PNG, else OpenCV's.
PNG_GRAY = (3737, 19234, 9797), 0
OTHER_GRAY = (1868, 9617, 4899), 1 << 13


def read_image(path: str, channels: int | None) -> np.ndarray:
    """Reads a picture upright as (H, W, C), uint8: grey for one channel, blue-green-red for three, as data layers do.

    Args:
        path: the file.
        channels: 1 or 3; None: as many as the file has.

    Raises:
        DataError: Pillow is missing, or the net's input is no picture.
        ReadError: there is no such file, or it is no picture.
    """
    if channels not in (1, 3, None):
        raise DataError("the net's input is not a picture", expected="1 or 3 channels", received=channels)
    pillow = _pillow()
    try:
        with pillow.Image.open(path) as image:
            if channels == 1 and image.format == "JPEG":
                image.draft("L", image.size)  # the brightness as stored, as OpenCV takes it
            four = image.format == "JPEG" and image.mode == "CMYK"
            upright = _of_8_bits(pillow.ImageOps.exif_transpose(image), image.format, pillow)
            pixels, png = from_cmyk(upright) if four else _pixels(upright), image.format == "PNG"
    except (OSError, ValueError, SyntaxError, pillow.Image.DecompressionBombError) as error:
        raise unreadable(path, error, problem="the picture cannot be read") from None
    if channels == 1 and pixels.shape[2] == 3:
        return gray(pixels, png)
    return np.repeat(pixels, 3, 2) if channels == 3 and pixels.shape[2] == 1 else pixels


def gray(image: np.ndarray, png: bool = True) -> np.ndarray:
    """(H, W, 3) blue-green-red -> (H, W, 1), in the whole numbers that OpenCV takes for a PNG or other files."""
    weights, half = PNG_GRAY if png else OTHER_GRAY
    weighted = image.astype(np.int32) @ np.array(weights, np.int32)
    return ((weighted + half) // sum(weights)).astype(np.uint8)[:, :, None]


def from_cmyk(image: Any) -> np.ndarray:
    """A JPEG of four colours, as Pillow opens it -> (H, W, 3) blue-green-red in OpenCV's whole numbers."""
    stored = 255 - np.asarray(image).astype(np.int32)  # Pillow turns round what a JPEG holds, OpenCV does not
    colours, black = stored[..., 2::-1], stored[..., 3:]
    return (black - ((255 - colours) * black >> 8)).astype(np.uint8)


def _pixels(image: Any) -> np.ndarray:
    """(H, W, 1), or (H, W, 3) blue-green-red."""
    if image.mode in ("1", "L", "LA", "I", "F"):
        return np.asarray(image.convert("L"))[:, :, None]
    return np.asarray(image.convert("RGB"))[:, :, ::-1]


def _of_8_bits(image: Any, format: str | None, pillow: Any) -> Any:
    """Grey pictures of 16 bits by their high bytes, as OpenCV takes them; Pillow would cut what is over 255."""
    wide = image.mode.startswith("I;16") or (image.mode == "I" and format != "TIFF")
    return pillow.Image.fromarray((np.asarray(image) >> 8).astype("uint8")) if wide else image


def resized(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W, C) -> (*size, C) float32, bilinear as cv::resize: of uint8 its very whole numbers."""
    if pixels.dtype == np.uint8:
        return resize(pixels, *size).astype("float32")
    options = {"interpolation": "bilinear", "antialias": False, "data_format": "channels_last"}
    return keras.ops.convert_to_numpy(keras.ops.image.resize(pixels.astype("float32"), size, **options))


def _pillow() -> Any:
    try:
        import PIL.Image
        import PIL.ImageOps
    except ImportError:
        raise DataError(
            "Pillow is needed to read pictures", fix="Install it with `pip install 'keras-caffe[images]'`."
        ) from None
    return PIL
