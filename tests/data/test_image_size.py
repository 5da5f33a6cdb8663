"""Image files that state more pixels than they may are refused before they are decoded."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
import tensorflow as tf
from PIL import Image

from keras_caffe.data import dataset, images
from keras_caffe.data.image_size import MOST_PIXELS, PIXELS_PER_BYTE, check_pixels, jpeg_size, stated_pixels
from keras_caffe.errors import DataError
from tests.data.records import datum, encoded, write_lmdb
from tests.nets import data_net

SIDE = 70_000  # 4.9e9 pixels


def png_bomb() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def jpeg_bomb() -> bytes:
    data = bytearray(encoded("jpeg"))
    start = data.index(b"\xff\xc0")
    data[start + 5 : start + 9] = struct.pack(">HH", 65_000, 65_000)
    return bytes(data)


def gif_bomb() -> bytes:
    data = encoded("gif")
    frame = data.index(b",", 13 + (3 << (data[10] % 8 + 1)))
    one = bytearray(data[frame:-1])
    one[5:9] = struct.pack("<HH", 60_000, 60_000)
    return data[:frame] + bytes(one) * 3 + b";"


BOMBS = {"png": png_bomb(), "jpeg": jpeg_bomb(), "gif": gif_bomb()}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_refused_undecoded(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for decoder in ("decode_image", "decode_jpeg", "decode_png"):
        monkeypatch.setattr(tf.io, decoder, None)
    with pytest.raises(DataError, match="would be too large"):
        images.decode(BOMBS[kind])


@pytest.mark.parametrize("kind", BOMBS)
def test_a_data_set_names_the_record(tmp_path: Path, kind: str) -> None:
    good = encoded("png" if kind == "png" else "jpeg")
    records = {b"0": datum(0, data=good, encoded=True), b"1": datum(1, data=BOMBS[kind], encoded=True)}
    net = data_net(write_lmdb(tmp_path / "db", records), 1)
    with pytest.raises(DataError, match=r"record 1 .*would be too large"):
        list(dataset(net, "TEST", epochs=1))
    assert len(list(dataset(net, "TEST", epochs=1, on_error="skip"))) == 1


def test_wide_png_of_16_bits() -> None:
    bomb = bytearray(png_bomb())
    bomb[24] = 16
    with pytest.raises(DataError, match="would be too large"):
        images.decode_wide(bytes(bomb))


def test_a_tiff_is_refused_by_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keras_caffe.data.image_size.MOST_PIXELS", 50)
    file = io.BytesIO()
    Image.new("L", (2000, 2000)).save(file, "tiff", compression="tiff_deflate")
    with pytest.raises(DataError, match="would be too large"):
        images.decode_wide(file.getvalue())


@pytest.mark.parametrize("kind", ["jpeg", "png", "gif"])
def test_what_is_stated_is_what_is_decoded(kind: str) -> None:
    data = encoded(kind)
    assert stated_pixels(data) == 12 * 7 * (2 if kind == "gif" else 1)  # a GIF's screen, and its frame
    assert images.decode(data, images.COLOR).shape == (7, 12, 3)


def test_frames_of_a_gif_count_all() -> None:
    file = io.BytesIO()
    frames = [Image.new("P", (9, 5), colour) for colour in range(4)]
    frames[0].save(file, "gif", save_all=True, append_images=frames[1:], duration=9)
    assert stated_pixels(file.getvalue()) >= 9 * 5 * 2


def test_markers_without_a_length_are_left_to_the_decoder() -> None:
    data = encoded("jpeg")
    fake = b"\xff\xc0\x00\x0b\x08\x00\x01\x00\x01\x01\x01\x11\x00"
    odd = data[:2] + b"\xff\x01" + data[2:]
    hidden = data[:2] + b"\xff\x01\xff\xfe\x00" + bytes([len(fake) + 2]) + fake + data[2:]
    assert jpeg_size(data) == (7, 12)
    assert jpeg_size(odd) is None and jpeg_size(hidden) is None
    assert stated_pixels(odd) == 12 * 7


def test_large_photographs_pass() -> None:
    check_pixels(MOST_PIXELS, b"")
    check_pixels(200_000_000, bytes(200_000_000 // PIXELS_PER_BYTE))
    with pytest.raises(DataError, match=f"at most {MOST_PIXELS} pixels"):
        check_pixels(MOST_PIXELS + 1, b"")


def test_a_large_label_image_passes() -> None:
    """36 megapixels of few values are a small file."""
    file = io.BytesIO()
    Image.new("L", (7360, 4912), 3).save(file, "png")
    assert stated_pixels(file.getvalue()) > PIXELS_PER_BYTE * len(file.getvalue())
    assert images.decode(file.getvalue()).shape == (4912, 7360, 1)


@pytest.mark.parametrize("data", [b"", b"RIFF\x10\0\0\0WEBPVP8 ", b"\xff\x0a\0", b"II*\0", b"\xff\xd8"])
def test_other_formats_are_none_here(data: bytes) -> None:
    with pytest.raises(DataError, match="the image cannot be decoded"):
        images.decode(data)
