"""tensorflow-io's LMDB reader gives what the `lmdb` package gives: record for record, batch for batch.

It loads beside TensorFlow 2.16 only; scripts/test_oldest.sh sets KERAS_CAFFE_TEST_TENSORFLOW_IO, so that these tests
run there.
"""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import lmdb
import numpy as np
import pytest

from keras_caffe import proto, samples
from keras_caffe import pycaffe as caffe
from keras_caffe.converters.resize import resize
from keras_caffe.data import dataset
from keras_caffe.data.sources import tensorflow_io
from keras_caffe.data.sources.tensorflow_io import TensorFlowIoWalk
from keras_caffe.errors import CaffeError, DataError
from keras_caffe.lmdb_file import LmdbFile
from tests.data.golden_data import DATA
from tests.data.records import datum, write_lmdb
from tests.nets import data_net
from tests.shared_goldens import GOLDENS

DATABASES = [*sorted(GOLDENS.glob("**/data.mdb")), *samples.path("db").glob("*/data.mdb")]
AUGMENTED = "crop_size: 3 mirror: true mean_value: 100 scale: 0.5"


@pytest.fixture
def real() -> None:
    """tensorflow-io itself; a test that asks for it is skipped where it does not load, unless it must."""
    try:
        tensorflow_io.library()
    except DataError as error:
        if "KERAS_CAFFE_TEST_TENSORFLOW_IO" in os.environ:
            raise
        pytest.skip(str(error))


@pytest.mark.usefixtures("real")
@pytest.mark.parametrize("file", DATABASES, ids=lambda file: file.parent.name)
def test_records_are_the_same(file: Path) -> None:
    readers = LmdbFile(file.parent), TensorFlowIoWalk(file.parent)
    assert readers[0].count() == readers[1].count() > 0
    for one, other in itertools.zip_longest(*(reader.items() for reader in readers)):
        assert tuple(map(bytes, one)) == other


@pytest.mark.usefixtures("real")
@pytest.mark.parametrize("transform", ["", AUGMENTED], ids=["plain", "augmented"])
@pytest.mark.parametrize("file", DATABASES, ids=lambda file: file.parent.name)
def test_batches_are_the_same(file: Path, transform: str) -> None:
    batch = 1 if file.parent.name == "varsize_lmdb" else 7
    assert_same_batches(data_net(file.parent, batch, transform), 9)


@pytest.mark.usefixtures("real")
def test_epochs_shards_and_large_records_are_the_same(tmp_path: Path) -> None:
    records = {b"%03d" % label: datum(label, (3, 64, 80)) for label in range(600)}  # beyond a page, beyond a mark
    net = data_net(write_lmdb(tmp_path / "db", records), 32, "crop_size: 60")
    assert_same_batches(net, None, epochs=1)
    assert_same_batches(net, None, epochs=1, shard=(1, 3))


def assert_same_batches(net: str, count: int | None, **kwargs: object) -> None:
    readers = [dataset(net, seed=1, reader=reader, **kwargs) for reader in ("lmdb", "tensorflow-io")]
    for one, other in itertools.zip_longest(*(data.take(-1 if count is None else count) for data in readers)):
        assert one.keys() == other.keys()
        for top in one:
            np.testing.assert_array_equal(one[top], other[top])


def stand_in(source: Path) -> SimpleNamespace:
    """A module with tensorflow-io's LMDB data set, of one database."""
    with lmdb.open(str(source), readonly=True, lock=False) as env, env.begin() as transaction:
        items = list(transaction.cursor())

    def from_lmdb(filename: str) -> SimpleNamespace:
        assert filename == str(source / "data.mdb")
        return SimpleNamespace(as_numpy_iterator=lambda: iter(items))

    return SimpleNamespace(IODataset=SimpleNamespace(from_lmdb=from_lmdb))


def test_the_reader_is_used_as_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for the data set, so that this runs beside every TensorFlow."""
    source = tmp_path / "rgb_lmdb"
    shutil.copytree(DATA / "src" / "rgb_lmdb", source)
    monkeypatch.setitem(__import__("sys").modules, "tensorflow_io", stand_in(source))
    assert_same_batches(data_net(source, 5, "crop_size: 6 mirror: true"), 6)


def test_data_are_resized_as_the_net_is_planned(tmp_path: Path) -> None:
    source = write_lmdb(tmp_path / "db", 2)
    net = data_net(source, 2, "resize_param { resize_mode: WARP height: 4 width: 6 } scale: 2")
    (batch,) = dataset(net, "TEST", data_format="channels_first", epochs=1).as_numpy_iterator()
    (whole,) = dataset(data_net(source, 2), "TEST", data_format="channels_first", epochs=1).as_numpy_iterator()
    wanted = [resize(x.transpose(1, 2, 0).astype(np.uint8), 4, 6).transpose(2, 0, 1) for x in whole["data"]]
    np.testing.assert_array_equal(batch["data"], 2 * np.float32(wanted))
    assert caffe.Net(net, caffe.TEST).blobs["data"].shape == (2, 3, 4, 6)


def test_crop_size_comes_before_crop_h_and_crop_w(tmp_path: Path) -> None:
    source = write_lmdb(tmp_path / "db", 2)
    for crop, size in (("crop_size: 2 crop_h: 3 crop_w: 4", (2, 2)), ("crop_h: 3 crop_w: 4", (3, 4))):
        net = data_net(source, 2, crop)
        (batch,) = dataset(net, "TEST", data_format="channels_first", epochs=1).as_numpy_iterator()
        assert batch["data"].shape == caffe.Net(net, caffe.TEST).blobs["data"].shape == (2, 3, *size)


def test_a_resize_that_cannot_be_done_is_said(tmp_path: Path) -> None:
    floats = proto.Datum(channels=1, height=2, width=2, float_data=[1, 2, 3, 4]).SerializeToString()
    source = write_lmdb(tmp_path / "db", {b"0": floats})
    for transform, problem in (("height: 4 width: 4", "8 bits"), ("resize_mode: FIT_SMALL_SIZE", "not supported")):
        with pytest.raises(CaffeError, match=problem):
            dataset(data_net(source, 1, f"resize_param {{ {transform} }}"), "TEST")
