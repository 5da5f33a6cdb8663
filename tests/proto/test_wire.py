"""Binary files: blobs as views, every spelling of their values, and what damaged files do."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_caffe import proto
from keras_caffe.errors import CaffeError, ReadError, WeightsError
from keras_caffe.proto.formats import is_text
from keras_caffe.proto.wire import Mapped, StoredBlob, read_blob

VALUES = np.arange(6, dtype=np.float32) - 1.5


def key(number: int, wire_type: int) -> bytes:
    return bytes([number << 3 | wire_type])


def delimited(number: int, data: bytes) -> bytes:
    size = bytearray()
    length = len(data)
    while length > 127:
        size.append(length & 127 | 128)
        length >>= 7
    return key(number, 2) + bytes([*size, length]) + data


def shape(*axes: int) -> bytes:
    return delimited(7, proto.BlobShape(dim=axes).SerializeToString())


@pytest.fixture
def read(tmp_path: Path):
    def read(data: bytes) -> StoredBlob:
        path = tmp_path / "blob"
        path.write_bytes(data)
        return read_blob(Mapped(path), 0, len(data))

    return read


def test_packed_floats_are_a_writable_view_on_the_file(read, tmp_path: Path) -> None:
    data = shape(2, 3) + delimited(5, VALUES.tobytes())
    blob = read(data)
    np.testing.assert_array_equal(blob.array, VALUES.reshape(2, 3))
    assert not blob.array.flags.owndata and not blob.legacy and blob.diff is None
    blob.array[0, 0] = 9
    assert blob.array[0, 0] == 9
    assert (tmp_path / "blob").read_bytes() == data


SPELLINGS = {
    "packed": delimited(5, VALUES.tobytes()),
    "two pieces": delimited(5, VALUES[:2].tobytes()) + shape() + delimited(5, VALUES[2:].tobytes()),
    "unpacked": b"".join(key(5, 5) + struct.pack("<f", v) for v in VALUES),
    "mixed": delimited(5, VALUES[:2].tobytes()) + b"".join(key(5, 5) + struct.pack("<f", v) for v in VALUES[2:]),
    "between others": b"".join(key(5, 5) + struct.pack("<f", v) + key(6, 5) + struct.pack("<f", v + 1) for v in VALUES),
    "double": delimited(8, VALUES.astype("<f8").tobytes()),
    "unpacked double": b"".join(key(8, 1) + struct.pack("<d", v) for v in VALUES),
    "double wins": delimited(5, (VALUES + 9).tobytes()) + delimited(8, VALUES.astype("<f8").tobytes()),
    "empty double": delimited(8, b"") + delimited(5, VALUES.tobytes()),
    "raw half": key(10, 0) + b"\x02" + delimited(12, VALUES.astype("<f2").tobytes()),
    "raw single": delimited(12, VALUES.tobytes()) + key(10, 0) + b"\x01",
    "raw double": delimited(12, VALUES.astype("<f8").tobytes()),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_values(read, spelling: str) -> None:
    blob = read(SPELLINGS[spelling] + shape(6))
    assert blob.array.dtype == np.float32
    np.testing.assert_array_equal(blob.array, VALUES)
    np.testing.assert_array_equal(blob.copy(), VALUES)
    np.testing.assert_array_equal(blob.copy((2, 3), (1, 0)), VALUES.reshape(2, 3).T)


def test_the_library_agrees(read) -> None:
    for spelling in ("packed", "unpacked", "mixed", "two pieces", "between others"):
        theirs = proto.BlobProto.FromString(SPELLINGS[spelling])
        np.testing.assert_array_equal(read(SPELLINGS[spelling] + shape(6)).array, np.array(theirs.data, np.float32))


def test_many_unpacked_values(read) -> None:
    values = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    data = b"".join(key(5, 5) + value.tobytes() for value in values)
    blob = read(data + shape(1000) + delimited(6, (values + 1).tobytes()))
    np.testing.assert_array_equal(blob.array, values)
    np.testing.assert_array_equal(blob.copy(), values)


def test_diffs_are_kept(read) -> None:
    blob = read(shape(6) + delimited(5, VALUES.tobytes()) + delimited(6, (VALUES * 2).tobytes()))
    np.testing.assert_array_equal(blob.diff, VALUES * 2)
    blob = read(shape(6) + delimited(5, VALUES.tobytes()) + delimited(9, (VALUES * 2).astype("<f8").tobytes()))
    np.testing.assert_array_equal(blob.diff, VALUES * 2)


def test_a_legacy_shape_wins(read) -> None:
    legacy = proto.BlobProto(num=1, channels=1, height=2, width=3).SerializeToString()
    blob = read(shape(6) + legacy + delimited(5, VALUES.tobytes()))
    assert (blob.array.shape, blob.legacy) == ((1, 1, 2, 3), True)
    with pytest.raises(WeightsError, match=r"\[2, 0, 0, 0\]|values"):
        read(key(1, 0) + b"\x02" + shape(6) + delimited(5, VALUES.tobytes()))


def test_no_shape_is_a_scalar(read) -> None:
    assert read(delimited(5, VALUES[:1].tobytes())).array.shape == ()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (shape(2, 2) + delimited(5, VALUES.tobytes()), r"expected 4 for shape \[2, 2\]; received 6"),
        (shape(7), r"expected 7 for shape \[7\]; received 0"),
        (shape(-2, -3) + delimited(5, VALUES.tobytes()), r"for shape \[-2, -3\]"),
        (shape(2**40, 2**40) + delimited(5, VALUES.tobytes()), f"expected {2**80} for shape"),
        (shape(2**62, 2**62, 0), "shape is too large"),
        (shape(*[1] * 33) + delimited(5, VALUES[:1].tobytes()), "too many axes; expected at most 32; received 33"),
        (delimited(7, b"\x0a\xd0\x0f" + bytes(2000)), "too many axes; expected at most 32"),
        (delimited(12, VALUES.tobytes()) + key(10, 0) + b"\x03" + shape(6), "cannot be read; .* received INT"),
        (delimited(12, VALUES.tobytes()[:5]) + key(10, 0) + b"\x02" + shape(2), "cannot be read; .* received FLOAT16"),
    ],
)
def test_values_that_do_not_fit_the_shape_are_refused(read, data: bytes, reason: str) -> None:
    with pytest.raises(WeightsError, match=reason):
        read(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (shape(6) + delimited(5, VALUES.tobytes())[:-1], "field 5 needs 24 bytes, 23 are left"),
        (key(5, 2) + b"\x80" * 12, "a number is too long"),
        (key(5, 2) + b"\xff\xff\xff\xff\x7f", "needs 34359738367 bytes, 0 are left"),
        (delimited(5, b"12345"), "packed values are cut off"),
        (delimited(7, b"\xff\xff"), "a blob's shape cannot be read"),
        (b"\x00", "a field has no number"),
        (key(5, 6), "the bytes are not a protobuf message"),
        (key(15, 3) * 100, "a group does not end"),
        (key(15, 3) + key(14, 4), "a group ends that did not begin"),
    ],
)
def test_damaged_bytes_are_refused(read, data: bytes, reason: str) -> None:
    with pytest.raises(ReadError, match=reason) as caught:
        read(data)
    assert "blob" in str(caught.value.where)


def test_groups_are_skipped(read) -> None:
    group = key(15, 3) + key(1, 0) + b"\x05" + key(14, 3) + key(14, 4) + delimited(2, b"x") + key(15, 4)
    np.testing.assert_array_equal(read(group + shape(6) + delimited(5, VALUES.tobytes())).array, VALUES)


def test_copy_and_release_keep_the_values(read) -> None:
    values = np.random.default_rng(1).standard_normal(3 << 20).astype(np.float32)
    blob = read(shape(values.size) + delimited(5, values.tobytes()))
    np.testing.assert_array_equal(blob.copy(), values)
    turned = blob.copy((3, 1 << 10, 1 << 10), (2, 0, 1))
    np.testing.assert_array_equal(turned, values.reshape(3, 1 << 10, 1 << 10).transpose(2, 0, 1))
    assert turned.flags.c_contiguous and turned.ctypes.data % 64 == 0
    blob.array[5] = 7
    blob.release()
    np.testing.assert_array_equal(blob.array[10:20], values[10:20])


def test_files_that_are_not_there_or_empty(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="no such file"):
        Mapped(tmp_path / "nothing")
    (tmp_path / "empty").touch()
    with pytest.raises(ReadError, match="empty"):
        Mapped(tmp_path / "empty")
    with pytest.raises(ReadError, match="this is a folder"):
        Mapped(tmp_path)


def test_text_and_binary_are_told_apart() -> None:
    assert is_text(b'name: "x"\r\n\tlayer {}\f')
    assert is_text('name: "\u4e2d"'.encode())
    assert is_text('# \u6ce8\u91ca a comment\nname: "x" and more of it'.encode("gbk"))
    assert is_text('name: "x"'.encode("utf-16"))
    assert not is_text(b"\n\x03net\xa2\x06")
    assert not is_text(b"this is not text\n\xff\xff\xff")


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damaged_blobs_are_refused_or_read(data, tmp_path_factory: pytest.TempPathFactory) -> None:
    good = bytearray(
        shape(6) + SPELLINGS[data.draw(st.sampled_from(sorted(SPELLINGS)))] + delimited(6, VALUES.tobytes())
    )
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(good[: data.draw(st.integers(1, len(good)))])
    file = Mapped(path)
    try:
        blob = read_blob(file, 0, file.size)
        assert blob.array.size <= len(good)
        assert blob.diff is None or blob.diff.shape == blob.array.shape
    except CaffeError:
        pass


READS = {
    "copy": lambda file, blob: blob.copy(),
    "turned copy": lambda file, blob: blob.copy((3, 1 << 20), (1, 0)),
    "fields": lambda file, blob: read_blob(file, file.size - 9000, file.size),
    "bytes": lambda file, blob: file.bytes(0, 9000),
}


@pytest.mark.parametrize("read", READS)
def test_a_file_that_is_cut_off_while_it_is_read_is_an_error(tmp_path: Path, read: str) -> None:
    """In a process of its own, which a page of a map that is gone would end with SIGBUS."""
    path, values = tmp_path / "blob", np.ones(3 << 20, np.float32)
    path.write_bytes(shape(values.size) + delimited(5, values.tobytes()))
    child = os.fork()
    if child == 0:
        file = Mapped(path)
        blob = read_blob(file, 0, file.size)
        os.truncate(path, 8192)
        try:
            READS[read](file, blob)
        except ReadError as error:
            os._exit(7 if "blob: the file was cut off while it was read; expected 12582" in str(error) else 8)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_file_that_is_replaced_is_read_to_its_end(tmp_path: Path) -> None:
    path, values = tmp_path / "blob", np.arange(5000, dtype=np.float32)
    path.write_bytes(shape(values.size) + delimited(5, values.tobytes()))
    file = Mapped(path)
    blob = read_blob(file, 0, file.size)
    (tmp_path / "other").write_bytes(b"other")
    (tmp_path / "other").replace(path)
    np.testing.assert_array_equal(blob.copy(), values)
    np.testing.assert_array_equal(blob.array, values)
