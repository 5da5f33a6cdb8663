"""JPEGs of four colours, CMYK and YCCK, as OpenCV decodes them."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_caffe import data
from keras_caffe.converters.pictures import read_image
from keras_caffe.data import images
from keras_caffe.errors import DataError
from keras_caffe.pycaffe.io import load_image
from tests.data.records import datum, encoded, write_lmdb
from tests.nets import data_net

STORED = np.random.default_rng(0).integers(0, 256, (3, 4, 4))  # cyan, magenta, yellow, black of squares of 8 x 8
ADOBE = b"\xff\xee\x00\x0eAdobe\x00d\x00\x00\x00\x00"  # and the kind: 0 CMYK, 2 YCCK


def four_colours(kind: str = "CMYK") -> bytes:
    """A JPEG whose squares decode to just what is stored; Pillow writes 255 minus the values that it is given."""
    file = io.BytesIO()
    squares = np.kron(255 - STORED, np.ones((8, 8, 1))).astype(np.uint8)
    Image.fromarray(squares, "CMYK").save(file, "JPEG", quality=100)
    content = file.getvalue()
    assert content.count(ADOBE + b"\0") == 1
    return content.replace(ADOBE + b"\0", {"CMYK": ADOBE + b"\0", "YCCK": ADOBE + b"\2", "no marker": b""}[kind])


def opencv_s(cmyk: np.ndarray) -> np.ndarray:
    """Blue, green, red of each square, colour by colour: black less what the ink takes, in whole numbers."""
    found = np.zeros((3, 4, 3), int)
    for row, column, colour in np.ndindex(3, 4, 3):
        *inks, black = (int(value) for value in cmyk[row, column])
        found[row, column, 2 - colour] = black - ((255 - inks[colour]) * black) // 256
    return found


def in_squares(image: np.ndarray) -> np.ndarray:
    assert image.shape[:2] == (24, 32)
    return image[3::8, 3::8].astype(int)


@pytest.mark.parametrize("kind", ["CMYK", "no marker"])
def test_every_reader_of_pictures_agrees_with_opencv(kind: str, tmp_path: Path) -> None:
    content, wanted = four_colours(kind), opencv_s(STORED)
    for channels in (images.NATIVE, images.COLOR):
        np.testing.assert_array_equal(in_squares(images.decode(content, channels)), wanted)
    blue, green, red = np.moveaxis(wanted, -1, 0)
    grey = in_squares(images.decode(content, images.GRAY))[:, :, 0]
    np.testing.assert_array_equal(grey, (1868 * blue + 9617 * green + 4899 * red + 8192) // 16384)
    (tmp_path / "a.jpg").write_bytes(content)
    np.testing.assert_array_equal(in_squares(read_image(str(tmp_path / "a.jpg"), 3)), wanted)


def test_ycck() -> None:
    y, cb, cr = (STORED[..., i].astype(float) for i in range(3))
    red, green, blue = y + 1.402 * (cr - 128), y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128), y + 1.772 * (cb - 128)
    inks = 255 - np.clip(np.stack([red, green, blue], -1), 0, 255)
    wanted = opencv_s(np.concatenate([np.rint(inks), STORED[..., 3:]], -1))
    np.testing.assert_allclose(in_squares(images.decode(four_colours("YCCK"), images.COLOR)), wanted, atol=1)


def test_load_image_has_the_numbers_of_scikit_image() -> None:
    inks, black = 255 - STORED[..., :3], 255 - STORED[..., 3:]
    exact = (255 - black) * (255 - inks) / 255  # which Pillow rounds
    found = in_squares(255 * load_image(io.BytesIO(four_colours())))
    np.testing.assert_allclose(found, exact, atol=1.01)


def test_records_among_other_jpegs(tmp_path: Path) -> None:
    contents = [encoded("jpeg", 32, 24), four_colours(), encoded("jpeg", 32, 24)]
    records = {b"%d" % i: datum(i, data=content, encoded=True) for i, content in enumerate(contents)}
    net = data_net(write_lmdb(tmp_path / "db", records), 3)
    (batch,) = data.dataset(net, "TEST", epochs=1, data_format="channels_last").as_numpy_iterator()
    np.testing.assert_array_equal(in_squares(batch["data"][1]), opencv_s(STORED))
    np.testing.assert_array_equal(batch["data"][0], images.decode(contents[0]))


def test_graphs_refuse_them() -> None:
    from keras_caffe.ops.jpeg import decoded_jpeg

    files = tf.data.Dataset.from_tensors(four_colours()).map(decoded_jpeg)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"four colours \(CMYK\) cannot be decoded in a graph"):
        next(iter(files))


def test_without_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(DataError, match=r"Pillow is needed to decode a JPEG of four colours \(CMYK\).*pip install"):
        images.decode(CONTENT)


CONTENT = four_colours()


@pytest.mark.parametrize("cut", [3, 30, 200])
def test_broken_ones_are_named(cut: int) -> None:
    for reader in (images.decode, images.decode_wide):
        with pytest.raises(DataError, match="the image cannot be decoded"):
            reader(CONTENT[:cut])
