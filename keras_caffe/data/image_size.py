"""How many pixels an image file states, read from its header: what would unpack to too many is refused undecoded."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from keras_caffe.errors import DataError

MOST_PIXELS = 1 << 27  # of an image that is not large as a file, too: 11585 x 11585; label images pack well
PIXELS_PER_BYTE = 64  # of a larger one; photographs have fewer than ten
JPEG, PNG, GIF, BMP = b"\xff\xd8", b"\x89PNG", b"GIF8", b"BM"
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of a JPEG that tell its size
WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD8), 0xFF}
GIF_EXTENSION, GIF_FRAME = 0x21, 0x2C


def check_pixels(pixels: int, data: Any, where: str | None = None) -> None:
    """Refuses a file that states so many pixels.

    Args:
        pixels: what it states.
        data: its bytes.
        where: what file that is, for the error.

    Raises:
        DataError: they are more than MOST_PIXELS, and more than PIXELS_PER_BYTE for each byte of the file.
    """
    if pixels > max(MOST_PIXELS, PIXELS_PER_BYTE * len(data)):
        raise DataError(
            "the decoded image would be too large",
            where=where,
            expected=f"at most {MOST_PIXELS} pixels, or {PIXELS_PER_BYTE} for each of its {len(data)} bytes",
            received=f"{pixels} pixels",
        )


def stated_pixels(data: bytes) -> int:
    """How many pixels decoding a JPEG, PNG or GIF makes, as its headers say; 0 of a BMP, which is not packed.

    Raises:
        tf.errors.OpError: a JPEG has no header.
    """
    if data.startswith(JPEG):
        height, width = jpeg_size(data) or tf.io.extract_jpeg_shape(data).numpy()[:2].tolist()
        return height * width
    if data.startswith(PNG):
        return int.from_bytes(data[16:20], "big") * int.from_bytes(data[20:24], "big")
    return _gif_pixels(data) if data.startswith(GIF) else 0


def jpeg_size(data: Any) -> tuple[int, int] | None:
    """(height, width) as the header of a JPEG says; None if it has none, one that only the decoder understands, or
    four colours, of which TensorFlow's decoder makes other numbers than OpenCV."""
    if data[:2] != JPEG:
        return None
    position = 2
    while position + 10 <= len(data) and data[position] == 0xFF:
        marker, length = data[position + 1], data[position + 2] << 8 | data[position + 3]
        if marker in WITHOUT_LENGTH:
            return None
        if marker in FRAMES and data[position + 9] == 4:
            return None
        if marker in FRAMES:
            height, width = (data[position + i] << 8 | data[position + i + 1] for i in (5, 7))
            return height, width
        position += 2 + length
    return None


def has_four_colours(data: bytes) -> bool:
    """Whether an image is a JPEG of four colours, CMYK or YCCK."""
    if not data.startswith(JPEG) or jpeg_size(data):
        return False
    try:
        return int(tf.io.extract_jpeg_shape(data)[2]) == 4
    except tf.errors.OpError:  # it is broken, as the decoder will say
        return False


def _gif_pixels(data: bytes) -> int:
    """Those of all frames of a GIF, as the decoder unpacks all, and of its screen."""
    total, position = _size(data, 6), 13 + _table(data, 10)
    while position < len(data):
        if data[position] == GIF_FRAME:
            total += _size(data, position + 5)
            position += 11 + _table(data, position + 9)
        elif data[position] == GIF_EXTENSION:
            position += 2
        else:
            break
        while position < len(data) and data[position]:  # blocks, each behind its length; 0 ends them
            position += 1 + data[position]
        position += 1
    return total


def _size(data: bytes, start: int) -> int:
    return int.from_bytes(data[start : start + 2], "little") * int.from_bytes(data[start + 2 : start + 4], "little")


def _table(data: bytes, start: int) -> int:
    """The length of the table of colours that the flags at `start` announce."""
    flags = data[start] if start < len(data) else 0
    return 3 << (flags % 8 + 1) if flags & 0x80 else 0
