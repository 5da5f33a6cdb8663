"""Datum records, read where they lie: the pixels are a view on the record (src/caffe/proto/caffe.proto, Datum)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from keras_caffe.errors import DataError

Buffer = bytes | memoryview

# The tags of a Datum's fields as C++ and Python write them: field number and wire type in one byte.
CHANNELS, HEIGHT, WIDTH, DATA, LABEL, ENCODED = 0x08, 0x10, 0x18, 0x22, 0x28, 0x38
FLOAT, FLOATS = 0x35, 0x32


class Datum(NamedTuple):
    """One record: the shape it states, its label, and its values, of which one is there."""

    shape: tuple[int, int, int]
    label: int
    data: Buffer
    encoded: bool
    floats: np.ndarray | None

    def pixels(self) -> np.ndarray:
        """(C, H, W), uint8 or float32.

        Raises:
            DataError: it holds more or fewer values than its shape says.
        """
        values = np.frombuffer(self.data, np.uint8) if len(self.data) or self.floats is None else self.floats
        channels, height, width = self.shape
        if min(self.shape) <= 0 or values.size != channels * height * width:
            raise DataError(
                "the record's number of pixels does not match its shape",
                expected=f"{channels} x {height} x {width} = {channels * height * width}",
                received=values.size,
                fix="Write the database again; an encoded image needs encoded: true in its record.",
            )
        return values.reshape(self.shape)


def parse(record: Buffer) -> Datum:
    """Reads a serialized Datum without copying its data.

    Raises:
        DataError: the bytes are no Datum.
    """
    ints = {CHANNELS: 0, HEIGHT: 0, WIDTH: 0, LABEL: 0, ENCODED: 0}
    data: Buffer = b""
    floats: list[Any] = []
    position, end = 0, len(record)
    try:
        while position < end:
            tag = record[position]
            value, position = _varint(record, position + 1) if tag not in (FLOAT,) else (4, position + 1)
            if tag in ints:
                ints[tag] = value
                continue
            if tag not in (DATA, FLOATS, FLOAT):
                return _by_library(record)
            piece = record[position : position + value]
            position += value
            if tag == DATA:
                data = piece
            else:
                floats.append(np.frombuffer(piece, "<f4"))
    except (IndexError, ValueError):
        position = end + 1
    if position > end:
        raise no_datum(record)
    shape = (_signed(ints[CHANNELS]), _signed(ints[HEIGHT]), _signed(ints[WIDTH]))
    values = None if not floats else floats[0] if len(floats) == 1 else np.concatenate(floats)
    return Datum(shape, _signed(ints[LABEL]), data, bool(ints[ENCODED]), values)


def feature_datum(blob: str, values: np.ndarray) -> bytes:
    """A record of the values that a blob holds for one item, as Caffe's extract_features makes it: `float_data`.

    Raises:
        DataError: they have more than three axes.
    """
    from keras_caffe import proto

    if values.ndim > 3:
        raise DataError(
            f"blob {blob!r} does not fit a Datum", expected="three axes at most for an item", received=values.shape
        )
    sizes = dict(zip(("channels", "height", "width"), (*values.shape, 1, 1, 1), strict=False))
    return proto.Datum(**sizes, float_data=values.ravel().tolist()).SerializeToString()


def no_datum(record: Buffer) -> DataError:
    """The error for bytes that are no Datum."""
    return DataError(
        "the record is not a Datum",
        expected="a serialized caffe.Datum, as convert_imageset writes it",
        received=f"{len(record)} bytes that begin with {bytes(record[:16])!r}",
    )


def _varint(record: Buffer, position: int) -> tuple[int, int]:
    byte = record[position]
    if byte < 128:
        return byte, position + 1
    value, shift = byte & 127, 7
    while True:
        position += 1
        byte = record[position]
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position + 1
        shift += 7
        if shift > 63:
            raise ValueError


def _signed(value: int) -> int:
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


def _by_library(record: Buffer) -> Datum:
    """For records with fields that Caffe's Datum does not have, which protobuf skips."""
    from google.protobuf.message import DecodeError

    from keras_caffe import proto

    try:
        message = proto.Datum.FromString(bytes(record))
    except DecodeError:
        raise no_datum(record) from None
    floats = np.array(message.float_data, "float32") if message.float_data else None
    if not message.data and floats is None:
        raise no_datum(record)
    shape = (message.channels, message.height, message.width)
    return Datum(shape, message.label, message.data, message.encoded, floats)
