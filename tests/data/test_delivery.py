"""What each source delivers, and that every stream makes of it what the source's own `read` gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from keras_caffe import proto
from keras_caffe.data.dataset import STREAMS, open_source
from keras_caffe.data.sources import Settings, Source
from keras_caffe.data.sources.base import Delivery, Form
from keras_caffe.data.stream import Share, Stream
from keras_caffe.ops import native
from keras_caffe.ops.window import in_one_pass
from keras_caffe.places import Places
from keras_caffe.proto.text import parse
from tests.data.golden_data import DATA
from tests.data.records import datum, write_lmdb
from tests.nets import data_net, image_net, layer

CROP = "crop_size: 6 mirror: true scale: 0.5 "
IMAGE = CROP + 'mean_file: "src/mean.binaryproto"'
LIST, FOLDER = "src/list_nopng4.txt", 'root_folder: "src/img/" '

# What the layer, the first record and the phase decide.
IMAGES = [
    (data_net("src/rgb_lmdb", 5, CROP + "mean_value: 100"), "TRAIN", "windows"),
    (data_net("src/rgb_lmdb", 5), "TRAIN", "windows"),
    (data_net("src/rgb_lmdb", 1), "TRAIN", "tops"),  # the next image may have another size
    (data_net("src/rgb_lmdb", 5, IMAGE), "TRAIN", "tops"),  # another part of the mean below each window
    (data_net("src/rgb_lmdb", 5, IMAGE), "TEST", "windows"),
    (data_net("src/float_lmdb", 5), "TEST", "tops"),
    (data_net("src/png_lmdb", 5, CROP), "TRAIN", "windows"),
    (data_net("src/jpg_lmdb", 5, CROP + "mean_value: 100"), "TRAIN", "jpegs"),
    (data_net("src/jpg_lmdb", 5), "TRAIN", "jpegs"),
    (data_net("src/jpg_lmdb", 1), "TRAIN", "varied jpegs"),
    (data_net("src/jpg_lmdb", 5, IMAGE), "TRAIN", "varied jpegs"),
    (data_net("src/jpg_lmdb", 5, IMAGE), "TEST", "jpegs"),
    (image_net(LIST, 5, FOLDER, CROP), "TRAIN", "windows"),
]


def opened(net: str, phase: str = "TRAIN", **settings: Any) -> Source:
    message = parse(net, proto.NetParameter)[0].layer[0]
    return open_source(message, Settings(Places(DATA), phase == "TRAIN", seed=3, **settings))


@pytest.fixture(params=["0", "auto"])
def in_bytes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Form:
    """What images of 8 bits are delivered as, with and without native operations, which transform them at once."""
    monkeypatch.setenv(native.SWITCH, request.param)
    return "tops" if in_one_pass() else "windows"


@pytest.mark.parametrize(("net", "phase", "form"), IMAGES)
def test_images(net: str, phase: str, form: Form, in_bytes: Form) -> None:
    assert opened(net, phase).delivery == Delivery(in_bytes if form == "windows" else form)
    assert opened(net, phase, skip=True).delivery == Delivery(gaps=True)


def test_resized_jpegs_are_decoded_whole(tmp_path: Path, in_bytes: Form) -> None:
    records = opened(data_net("src/jpg_lmdb"))
    (tmp_path / "a.jpg").write_bytes(records.first[0].data)
    (tmp_path / "list.txt").write_text("a.jpg 1\n")
    for fields, form in (("", "jpegs"), ("new_height: 8 new_width: 9", in_bytes)):
        assert opened(image_net(tmp_path / "list.txt", 2, f'root_folder: "{tmp_path}/" {fields}')).delivery.form == form


def test_other_sources(tmp_path: Path) -> None:
    hdf5 = layer("d", "HDF5Data", tops="data label", more='hdf5_data_param { source: "src/h5_list.txt" batch_size: 5 }')
    assert opened(hdf5, skip=True).delivery == Delivery()
    dummy = layer("d", "DummyData", tops="x", more="dummy_data_param { shape { dim: 2 } }")
    assert opened(dummy).delivery == Delivery(counted=False)
    windows = 'window_data_param { source: "src/win_in.txt" batch_size: 4 } transform_param { crop_size: 8 }'
    assert opened(layer("d", "WindowData", tops="d l", more=windows)).delivery == Delivery()
    boxes = proto.AnnotatedDatum()
    boxes.datum.ParseFromString(datum(0))
    source = write_lmdb(tmp_path / "db", {b"0": boxes.SerializeToString()})
    boxed = data_net(source).replace('"Data"', '"AnnotatedData"')
    assert opened(boxed).delivery == Delivery(rows=False)
    assert opened(boxed, skip=True).delivery == Delivery(gaps=True, rows=False)


class Counter:
    """As those that were written for pycaffe."""

    def setup(self, bottom: Any, top: Any) -> None: ...

    def reshape(self, bottom: Any, top: Any) -> None:
        top[0].reshape(2)

    def forward(self, bottom: Any, top: Any) -> None: ...


def test_python_layers_are_asked_in_order() -> None:
    net = layer("d", "Python", tops="x", more='python_param { module: "m" layer: "Counter" }')
    assert opened(net, python_layers={"m.Counter": Counter}).delivery == Delivery(ordered=True, counted=False)


def test_there_is_a_stream_for_every_form() -> None:
    assert set(STREAMS) == set(get_args(Form)) == {form for _, _, form in IMAGES}


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("net", "phase", "form"), IMAGES)
def test_every_stream_gives_what_read_gives(net: str, phase: str, form: Form, data_format: str) -> None:
    source, share = opened(net, phase, data_format=data_format), Share(epochs=1)
    stream, plain = STREAMS[form](source, share), Stream(source, share)
    for batch, wanted in zip(stream.dataset(), plain.dataset(), strict=True):
        for top, values in zip(batch, wanted, strict=True):
            np.testing.assert_array_equal(top, values)
