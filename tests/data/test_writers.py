"""What is written: databases as Caffe's tools write them, whole or not at all."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from keras_caffe import proto
from keras_caffe.converters.read import read_mean
from keras_caffe.data import dataset, write, write_hdf5
from keras_caffe.data.datum import parse
from keras_caffe.data.imageset import ImageSet, find_images
from keras_caffe.data.sources.image_data import Line
from keras_caffe.data.statistics import Statistics, mean_image, open_any, records, write_mean
from keras_caffe.errors import DataError
from tests.data.golden_data import DATA, case
from tests.data.records import datum, labels, write_lmdb
from tests.nets import data_net

SRC = DATA / "src"


def contents(path: Path) -> dict[bytes, bytes]:
    return {bytes(key): bytes(value) for key, value in open_any(path).items()}


def test_an_lmdb_of_a_list_is_that_of_convert_imageset(tmp_path: Path) -> None:
    for name, source, options in (
        ("conv_gray_lmdb", "list.txt", {"gray": True, "size": (6, 9)}),
        ("conv_enc_lmdb", "list_conv.txt", {"encoded": "png"}),
    ):
        lines, _ = find_images(SRC / source)
        assert write(tmp_path / name, ImageSet(lines, SRC / "img", **options).records()) == len(lines)
        found, wanted = contents(tmp_path / name), contents(SRC / name)
        assert list(found) == list(wanted)
        for key in wanted:
            a, b = parse(found[key]), parse(wanted[key])
            assert (a.label, a.encoded, bytes(a.data)) == (b.label, b.encoded, bytes(b.data))
            assert name == "conv_enc_lmdb" or a.shape == b.shape


def test_a_leveldb_of_convert_imageset_holds_the_same_records(tmp_path: Path) -> None:
    lines, _ = find_images(SRC / "list_nopng4.txt")
    write(tmp_path / "db", ImageSet(lines, SRC / "img").records(), "leveldb")
    found, wanted = contents(tmp_path / "db"), contents(SRC / "conv_leveldb")
    assert found.keys() == wanted.keys()
    assert all(parse(found[key])[:2] == parse(wanted[key])[:2] for key in wanted)


def test_a_leveldb_with_compressed_blocks_is_read(tmp_path: Path) -> None:
    made = {b"%05d" % i: datum(i, data=bytes(3 * 64 * 32), channels=3, height=64, width=32) for i in range(2500)}
    write(tmp_path / "db", made.items(), "leveldb")
    tables = [file.stat().st_size for file in (tmp_path / "db").glob("*.ldb")]
    assert tables and sum(tables) < 1 << 20  # of more than 4 MiB of pixels
    assert labels(dataset(data_net(tmp_path / "db", 100, backend="LEVELDB"), epochs=1).as_numpy_iterator()) == [
        *range(2500)
    ]


@pytest.mark.parametrize("shards", [1, 3])
def test_there_and_back_through_tfrecord(tmp_path: Path, shards: int) -> None:
    source = write_lmdb(tmp_path / "lmdb", 10)
    write(tmp_path / "x.tfrecord", contents(source).items(), "tfrecord", shards)
    write(tmp_path / "back", contents(tmp_path / "x.tfrecord").items())
    assert contents(tmp_path / "back") == contents(source)
    net = data_net(tmp_path / "x.tfrecord", 4)
    assert sorted(labels(dataset(net, epochs=1).as_numpy_iterator())) == [*range(10)]


@pytest.mark.parametrize("kind", ["lmdb", "leveldb", "tfrecord"])
def test_what_is_interrupted_leaves_nothing(tmp_path: Path, kind: str) -> None:
    def breaking() -> Iterator[tuple[bytes, bytes]]:
        yield from ((b"%d" % i, datum(i)) for i in range(1500))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "db", breaking(), kind)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["lmdb", "leveldb", "tfrecord"])
@pytest.mark.parametrize("error", [FileNotFoundError, NotADirectoryError, FileExistsError])
def test_errors_of_the_records_are_not_the_databases(tmp_path: Path, kind: str, error: type[OSError]) -> None:
    def pictures() -> Iterator[tuple[bytes, bytes]]:
        yield b"0", b"a"
        raise error(2, "not there", "cat.jpg")

    with pytest.raises(error, match=r"cat\.jpg") as raised:
        write(tmp_path / "db", pictures(), kind=kind)
    assert not isinstance(raised.value, DataError)
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_over(tmp_path: Path) -> None:
    source = write_lmdb(tmp_path / "db", 2)
    before = contents(source)
    with pytest.raises(DataError, match="already"):
        write(source, [(b"a", b"b")])
    with pytest.raises(DataError, match="twice"):
        write(tmp_path / "twice", [(b"a", b"b"), (b"a", b"c")])
    with pytest.raises(DataError, match="no records"):
        write(tmp_path / "empty", [])
    with pytest.raises(DataError, match=r"record 1 are not bytes.*SerializeToString.*received \(str, Datum\)"):
        write(tmp_path / "kinds", [(b"a", b"b"), ("b", proto.Datum())])  # type: ignore[list-item]
    with pytest.raises(DataError, match="no folder"):
        write(tmp_path / "gone" / "db", [(b"a", b"b")])
    assert contents(source) == before
    assert [path.name for path in tmp_path.iterdir()] == ["db"]


def test_an_lmdb_grows_as_it_must(tmp_path: Path) -> None:
    many = ((b"%04d" % i, bytes(300_000)) for i in range(400))
    assert write(tmp_path / "db", many) == 400
    assert open_any(tmp_path / "db").count() == 400


def test_a_folder_of_class_folders_and_an_image_of_another_size(tmp_path: Path) -> None:
    for name, size in {"b/2.png": (4, 5), "a/1.png": (4, 5), "b/1.jpg": (4, 6)}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.zeros((*size, 3), np.uint8)).save(tmp_path / name)
    (tmp_path / "b" / "notes.txt").write_text("no image")
    lines, classes = find_images(tmp_path)
    assert classes == ["a", "b"]
    assert [(line.name, line.label) for line in lines] == [("a/1.png", 0), ("b/1.jpg", 1), ("b/2.png", 1)]
    with pytest.raises(DataError, match="another size"):
        list(ImageSet(lines, tmp_path, check_size=True).records())
    raw = [proto.Datum.FromString(value) for _, value in ImageSet(lines, tmp_path, size=(3, 3), gray=True).records()]
    assert {(d.channels, d.height, d.width, len(d.data)) for d in raw} == {(1, 3, 3, 9)}
    prefixed = ImageSet([Line("1.png", 4, "list:1")], f"{tmp_path}/a/")
    assert [proto.Datum.FromString(value).label for _, value in prefixed.records()] == [4]
    prefixed = ImageSet([Line("ng", 4, "list:1")], f"{tmp_path}/a/1.p")
    assert [proto.Datum.FromString(value).label for _, value in prefixed.records()] == [4]
    packed = [proto.Datum.FromString(value) for _, value in ImageSet(lines, tmp_path, encoded="jpg").records()]
    assert packed[1].data == (tmp_path / "b" / "1.jpg").read_bytes()
    assert all(Image.open(io.BytesIO(d.data)).format == "JPEG" and d.encoded for d in packed)


def test_the_mean_is_that_of_compute_image_mean(tmp_path: Path) -> None:
    mean = mean_image(records(open_any(SRC / "rgb_lmdb").items()))
    wanted = read_mean(SRC / "mean.binaryproto")
    np.testing.assert_array_equal(mean, wanted.reshape(mean.shape))
    write_mean(tmp_path / "mean.binaryproto", mean)
    assert (tmp_path / "mean.binaryproto").read_bytes() == (SRC / "mean.binaryproto").read_bytes()


def test_a_mean_needs_records_of_one_size() -> None:
    with pytest.raises(DataError, match="differ in size"):
        mean_image(records(open_any(SRC / "varsize_lmdb").items()))
    with pytest.raises(DataError, match="no records"):
        mean_image([])


def test_statistics_are_those_of_the_arrays() -> None:
    found = Statistics()
    for record in records(open_any(SRC / "rgb_lmdb").items()):
        found.add(record)
    images = next(dataset(data_net(SRC / "rgb_lmdb", 13), data_format="channels_first").as_numpy_iterator())
    assert (found.count, found.encoded, dict(found.shapes)) == (13, 0, {(3, 10, 12): 13})
    assert sum(found.labels.values()) == 13
    np.testing.assert_allclose(found.means, images["data"].mean((0, 2, 3), dtype="float64"))
    assert (found.lowest, found.highest) == (images["data"].min(), images["data"].max())


def test_hdf5_output_is_caffes(tmp_path: Path) -> None:
    _, arrays = case("hdf5_output")
    write_hdf5(tmp_path / "out.h5", arrays["in/x"], arrays["in/y"].ravel())
    with h5py.File(tmp_path / "out.h5") as found, h5py.File(DATA / "hdf5_output_ref.h5") as wanted:
        assert set(found) == set(wanted)
        for name in wanted:
            assert found[name].dtype == wanted[name].dtype
            np.testing.assert_array_equal(found[name][()], wanted[name][()])
    for data, label in (((2, 1), 3), ((), 2), ((2, 1, 1, 1, 1), 2)):
        with pytest.raises(DataError, match="at most four axes and the same number of rows"):
            write_hdf5(tmp_path / "out.h5", np.zeros(data), np.zeros(label))
