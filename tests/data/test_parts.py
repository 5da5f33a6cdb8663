"""The small parts: Datums, random numbers, databases, the resize, the fused arithmetic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_caffe import proto
from keras_caffe.converters.resize import resize
from keras_caffe.data.augment import Augment, Placement
from keras_caffe.data.database import MARK_EVERY, Database
from keras_caffe.data.datum import parse
from keras_caffe.data.draws import draws
from keras_caffe.data.fused import Fused
from keras_caffe.errors import DataError
from keras_caffe.lmdb_file import LmdbFile
from keras_caffe.ops.pixel_batch import pixel_batch
from tests.data.records import datum, write_lmdb
from tests.randoms import generators

INTS = st.integers(-(2**31), 2**31 - 1)


@settings(deadline=None)
@given(
    sizes=st.tuples(INTS, INTS, INTS),
    label=INTS,
    data=st.binary(max_size=300),
    floats=st.lists(st.floats(width=32, allow_nan=False), max_size=5),
    encoded=st.booleans(),
)
def test_datums_are_read_as_protobuf_reads_them(sizes, label, data, floats, encoded) -> None:
    fields = dict(zip(("channels", "height", "width"), sizes, strict=True))
    message = proto.Datum(**fields, label=label, data=data, float_data=floats, encoded=encoded)
    if not data and not floats:
        return
    for record in (message.SerializeToString(), memoryview(message.SerializeToString())):
        found = parse(record)
        assert (found.shape, found.label, bytes(found.data), found.encoded) == (sizes, label, data, encoded)
        np.testing.assert_array_equal([] if found.floats is None else found.floats, np.float32(floats))


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=200))
def test_any_bytes_are_a_datum_or_an_error(record: bytes) -> None:
    try:
        parse(record).pixels()
    except DataError:
        pass


def test_fields_of_a_fork_are_passed_over() -> None:
    record = datum(3) + b"\xa2\x06\x03abc"  # field 100
    assert parse(record).label == 3 and parse(record).pixels().shape == (3, 8, 9)


def test_draws_depend_on_seed_and_number_alone() -> None:
    numbers = np.arange(20_000)
    found = draws(5, numbers, 3)
    np.testing.assert_array_equal(found[::7], draws(5, numbers[::7], 3))
    assert not np.array_equal(found, draws(6, numbers, 3))
    assert found.min() >= 0 and found.max() < 2**32
    for bits in (1, 7, 30):
        counts = np.bincount((found % bits).ravel(), minlength=bits)
        assert abs(counts / counts.mean() - 1).max() < 0.1
    assert abs(np.corrcoef(found.T) - np.eye(3)).max() < 0.03


def test_records_are_found_by_their_number_in_any_order(tmp_path: Path) -> None:
    count = 3 * MARK_EVERY + 5
    database = Database(LmdbFile(write_lmdb(tmp_path / "db", count)), "db")
    for numbers in (range(5), range(count - 3, count + 3), [700, 2, 650, 3 * count + 1], range(0, 4 * count, 97)):
        found = [parse(entry.record).label for entry in database.read(list(numbers))]
        assert found == [number % count for number in numbers]
    assert database.count() == count


def test_opening_reads_no_records(tmp_path: Path) -> None:
    class Walk:
        def items(self, start=None):
            raise AssertionError("read")
            yield

        def count(self) -> int:
            return 10**9

    assert Database(Walk(), "db").size == 10**9


def test_half_the_size_is_the_mean_of_four() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 6, 3), dtype=np.uint8)
    blocks = image.reshape(4, 2, 3, 2, 3).astype(int).sum((1, 3))
    np.testing.assert_array_equal(resize(image, 4, 3), (blocks + 2) // 4)


def test_resize_is_within_a_level_of_exact_arithmetic() -> None:
    for random in generators(1, 20):
        height, width, new_height, new_width = random.integers(2, 40, 4)
        image = random.integers(0, 256, (height, width, 1), dtype=np.uint8)
        y = ((np.arange(new_height) + 0.5) * height / new_height - 0.5).clip(0, height - 1)
        x = ((np.arange(new_width) + 0.5) * width / new_width - 0.5).clip(0, width - 1)
        rows = np.array([np.interp(y, np.arange(height), column) for column in image[:, :, 0].T]).T
        wanted = np.array([np.interp(x, np.arange(width), row) for row in rows])
        assert abs(resize(image, new_height, new_width)[:, :, 0] - wanted).max() <= 1


@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
@pytest.mark.parametrize("pixels", [False, True])
@pytest.mark.parametrize("mean", ["none", "values", "image"])
def test_fused_arithmetic_gives_the_bits_of_numpys(mean: str, pixels: bool, data_format: str) -> None:
    random = np.random.default_rng(2)
    means = {"none": None, "values": np.float32([104, 117.3, 123]).reshape(3, 1, 1)}
    means["image"] = random.uniform(90, 130, (3, 11, 12)).astype("float32")
    augment = Augment((7, 9), True, 0.0078125 * 3, means[mean])
    windows = random.integers(0, 256, (6, 3, 7, 9), dtype=np.uint8)
    mirrored = np.arange(6) % 2 == 1
    fused = Fused(augment, (3, 11, 12), data_format)
    if pixels:
        how = {"size": (3, 7, 9), "scale": augment.scale, "data_format": data_format}
        places = np.stack([mirrored, 0 * mirrored, 0 * mirrored], axis=1)
        found = pixel_batch(list(windows.transpose(0, 2, 3, 1)[..., ::-1]), places, fused.mean, **how).numpy()
    else:
        found = fused.apply(windows, mirrored).numpy()
    wanted = np.empty((6, 3, 7, 9), np.float32)
    for window, mirror, out in zip(windows, mirrored, wanted, strict=True):
        augment.apply(window, Placement(bool(mirror), 2, 1), out)
    np.testing.assert_array_equal(found.transpose(0, 3, 1, 2) if data_format == "channels_last" else found, wanted)


@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
@pytest.mark.parametrize("mean", ["none", "value", "values", "image"])
def test_a_transformed_image_is_caffes_line_by_line(mean: str, data_format: str) -> None:
    random = np.random.default_rng(4)
    for channels, height, width, kind in ((3, 20, 31, "uint8"), (1, 9, 8, "uint8"), (2, 12, 17, "float32")):
        image = random.integers(0, 256, (channels, height, width)).astype(kind)
        shapes = {"value": (1, 1, 1), "values": (channels, 1, 1), "image": image.shape}
        given = None if mean == "none" else random.uniform(90, 130, shapes[mean]).astype("float32")
        crop, (top, left) = (7, width - 4), (2, 3)
        for mirror in (False, True):
            batch = np.empty((*crop, channels), np.float32).transpose(2, 0, 1)
            out = batch if data_format == "channels_last" else np.empty((channels, *crop), np.float32)
            Augment(crop, True, 0.3, given, True).apply(image, Placement(mirror, top, left), out)
            whole = image - (0 if given is None else np.broadcast_to(given, image.shape))
            wanted = whole.astype(np.float32)[:, top : top + crop[0], left : left + crop[1]] * np.float32(0.3)
            np.testing.assert_array_equal(out, wanted[:, :, ::-1] if mirror else wanted)
