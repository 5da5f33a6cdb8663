"""Pictures from files, in the order of Caffe's nets, and at the size that a net takes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_caffe.errors import DataError, unreadable


def read_image(path: str, channels: int) -> np.ndarray:
    """Reads a picture upright as (H, W, C), uint8: grey for one channel, blue-green-red for three.

    Raises:
        DataError: Pillow is missing, or the net's input is no picture.
        ReadError: there is no such file, or it is no picture.
    """
    if channels not in (1, 3):
        raise DataError("the net's input is not a picture", expected="1 or 3 channels", received=channels)
    pillow = _pillow()
    try:
        with pillow.Image.open(path) as image:
            upright = _of_8_bits(pillow.ImageOps.exif_transpose(image), image.format, pillow)
            pixels = np.asarray(upright.convert("L" if channels == 1 else "RGB"))
    except (OSError, ValueError, SyntaxError, pillow.Image.DecompressionBombError) as error:
        raise unreadable(path, error, problem="the picture cannot be read") from None
    return pixels[:, :, None] if channels == 1 else pixels[:, :, ::-1]


def _of_8_bits(image: Any, format: str | None, pillow: Any) -> Any:
    """Grey pictures of 16 bits by their high bytes, as OpenCV takes them; Pillow would cut what is over 255."""
    wide = image.mode.startswith("I;16") or (image.mode == "I" and format != "TIFF")
    return pillow.Image.fromarray((np.asarray(image) >> 8).astype("uint8")) if wide else image


def resized(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W, C) uint8 -> (*size, C) float32 in whole numbers, bilinear as OpenCV's default."""
    pixels = pixels.astype("float32")
    if pixels.shape[:2] == tuple(size):
        return pixels
    options = {"interpolation": "bilinear", "antialias": False, "data_format": "channels_last"}
    return np.rint(keras.ops.convert_to_numpy(keras.ops.image.resize(pixels, size, **options)))


def _pillow() -> Any:
    try:
        import PIL.Image
        import PIL.ImageOps
    except ImportError:
        raise DataError(
            "Pillow is needed to read pictures", fix="Install it with `pip install 'keras-caffe[images]'`."
        ) from None
    return PIL
