"""Nets with data layers: each forward pass takes the next batch."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import tensorflow as tf

from keras_caffe import pycaffe as caffe
from keras_caffe import samples
from keras_caffe.errors import DataError
from tests.data.records import annotated, datum, write_lmdb


def test_lenet_reads_its_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.copytree(samples.path(), tmp_path / "lenet")  # a process opens an LMDB only once
    monkeypatch.chdir(tmp_path / "lenet")
    net = caffe.Net("lenet_train_test.prototxt", "lenet.caffemodel", caffe.TEST)
    first = net.forward()
    batch = net.blobs["data"].data.copy()
    assert batch.any()
    assert 0 <= batch.max() <= 1
    assert first["accuracy"] > 0.9
    assert first["loss"] < 0.5
    net.forward()
    assert (net.blobs["data"].data != batch).any()


def test_a_pass_that_starts_below_the_data_keeps_them() -> None:
    net = caffe.Net(
        """layer { name: "x" type: "DummyData" top: "x" top: "one"
             dummy_data_param { shape { dim: 4 } data_filler { type: "gaussian" } data_filler { value: 1 } } }
           layer { name: "y" type: "Power" bottom: "x" top: "y" power_param { scale: 2 } }
           layer { name: "quiet" type: "Silence" bottom: "one" }""",
        caffe.TEST,
    )
    net.forward()
    first = net.blobs["x"].data.copy()
    np.testing.assert_allclose(net.blobs["y"].data, 2 * first)
    net.forward(start="y")
    np.testing.assert_array_equal(net.blobs["x"].data, first)
    net.forward()
    assert (net.blobs["x"].data != first).any()
    assert (net.blobs["one"].data == 1).all()


def test_dummy_data_refill_what_is_random_only() -> None:
    net = caffe.Net(
        """layer { name: "x" type: "DummyData" top: "x" top: "r"
             dummy_data_param { shape { dim: 2 } data_filler { value: 1 } data_filler { type: "gaussian" } } }
           layer { name: "y" type: "Eltwise" bottom: "x" bottom: "x" top: "y" }""",
        caffe.TEST,
    )
    assert net.forward()["y"].tolist() == [2, 2]
    net.blobs["x"].data[...] = 3
    net.blobs["r"].data[...] = 3
    assert net.forward()["y"].tolist() == [6, 6]
    assert (net.blobs["r"].data != 3).all()
    for blob in ("x", "r"):
        net.blobs[blob].reshape(2, 2)
    net.blobs["x"].data[...] = 4
    assert net.forward()["y"].tolist() == [[8, 8], [8, 8]]
    assert len(np.unique(net.blobs["r"].data)) == 4


@pytest.mark.parametrize("rule", ['stage: "a"', "min_level: 1"])
def test_data_layers_read_in_the_stages_and_levels_of_the_net(rule: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = np.arange(2, dtype="float32").reshape(2, 1)
    (tmp_path / "files").write_text(f"{tmp_path}/x.h5")
    net = f"""layer {{ name: "x" type: "HDF5Data" top: "x" include {{ {rule} }}
                hdf5_data_param {{ source: "{tmp_path}/files" batch_size: 2 }} }}"""
    assert caffe.Net(net, caffe.TEST, stages=["a"], level=1).forward()["x"].tolist() == [[0], [1]]


MEMORY = """
layer { name: "m" type: "MemoryData" top: "d" top: "l"
  memory_data_param { batch_size: 2 channels: 1 height: 2 width: 1 } }
layer { name: "y" type: "Power" bottom: "d" top: "y" power_param { scale: 2 } }
"""


def test_memory_data_goes_round() -> None:
    net = caffe.Net(MEMORY, caffe.TEST)
    data = np.arange(8, dtype="float32").reshape(4, 1, 2, 1)
    net.set_input_arrays(data, np.arange(4, dtype="float32"))
    labels = []
    for _ in range(3):
        out = net.forward()
        labels.append(out["l"].ravel().tolist())
        np.testing.assert_array_equal(out["y"], 2 * net.blobs["d"].data)
    assert labels == [[0, 1], [2, 3], [0, 1]]
    net.set_input_arrays(data, np.arange(4))
    assert net.forward()["l"].ravel().tolist() == [0, 1]


@pytest.mark.parametrize("shape", [(2,), (2, 1, 1, 1)])
def test_labels_of_memory_data_have_four_axes_once_data_arrive(shape: tuple[int, ...]) -> None:
    net = caffe.Net(
        MEMORY.replace("channels: 1", "channels: 3").replace("height: 2", "height: 1")
        + 'layer { name: "same" type: "Power" bottom: "l" top: "same" }'
        + 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "l" top: "loss" loss_weight: 2 }',
        caffe.TRAIN,
    )
    assert net.blobs["l"].shape == (2,)
    net.set_input_arrays(np.zeros((2, 3, 1, 1), np.float32), np.array([2, 1], np.float32).reshape(shape))
    out = net.forward()
    assert net.blobs["l"].shape == (2, 1, 1, 1)
    assert out["same"].tolist() == [[[[2]]], [[[1]]]]
    assert out["loss"] == pytest.approx(np.log(3))
    assert net.blobs["loss"].diff == 2


def test_what_is_written_into_the_arrays_of_memory_data_counts() -> None:
    net = caffe.Net(MEMORY, caffe.TEST)
    data, labels = np.zeros((4, 1, 2, 1), np.float32), np.zeros(4, np.float32)
    net.set_input_arrays(data, labels)
    net.forward()
    data[...], labels[...] = 3, [4, 5, 6, 7]
    out = net.forward()
    np.testing.assert_array_equal(out["y"], np.full((2, 1, 2, 1), 6))
    assert out["l"].ravel().tolist() == [6, 7]
    assert data.max() == 3


def test_memory_data_needs_arrays_before_it_runs() -> None:
    second = MEMORY.split("layer {")[1].replace('"m"', '"n"').replace('"d"', '"e"').replace('"l"', '"k"')
    net = caffe.Net(f"{MEMORY} layer {{ {second}", caffe.TEST)
    with pytest.raises(DataError, match=r"^<text>:2: layer 'm' \(MemoryData\): no data were given") as raised:
        net.forward()
    assert str(raised.value).endswith("Call net.set_input_arrays(data, labels) before forward.")
    net.blobs["d"].data[...] = 1
    assert net.forward(start="y", end="y")["y"].max() == 2
    net.set_input_arrays(np.ones((2, 1, 2, 1)), np.zeros(2))
    with pytest.raises(
        DataError, match="layer 'n' .* Make it an Input layer: set_input_arrays gives data to the first"
    ):
        net.forward()


def test_pycaffes_solver_asks_for_the_arrays_of_memory_data() -> None:
    loss = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "l" top: "loss" }'
    solver = caffe.SGDSolver(
        f'base_lr: 1 lr_policy: "fixed" net_param {{ {MEMORY.replace("height: 2", "height: 1")} {loss} }}'
    )
    with pytest.raises(DataError, match=r"Call net\.set_input_arrays"):
        solver.step(1)
    solver.net.set_input_arrays(np.zeros((2, 1, 1, 1)), np.zeros(2))
    solver.step(1)
    assert solver.iter == 1
    assert solver.net.blobs["l"].shape == (2, 1, 1, 1)


UNREAD = {
    "VideoData": ("video_data_param { } transform_param { crop_size: 2 } data_param { batch_size: 1 }", r"forward\.$"),
    "Python": (
        'python_param { module: "m" layer: "Source" }',
        r"forward\. Pass python_layers=\{'m.Source': \.\.\.\} with the class\.$",
    ),
}


@pytest.mark.parametrize("type", UNREAD)
def test_what_nothing_reads_is_what_the_script_writes(type: str) -> None:
    fields, advice = UNREAD[type]
    net = caffe.Net(
        f"""layer {{ name: "d" type: "{type}" top: "d" top: "l" {fields} }}
            layer {{ name: "y" type: "Power" bottom: "d" top: "y" power_param {{ shift: 1 }} }}
            layer {{ name: "quiet" type: "Silence" bottom: "l" }}""",
        caffe.TEST,
        input_shapes={"d": (1, 3, 2, 2), "l": (1,)},
    )
    with pytest.raises(
        DataError, match=rf"layer 'd' \({type}\): nothing here reads .*net\.blobs\['d'\]\.data"
    ) as raised:
        net.forward()
    assert re.search(advice, str(raised.value))
    net.blobs["d"].data[...] = 2
    np.testing.assert_array_equal(net.forward()["y"], np.full((1, 3, 2, 2), 3))


def test_annotated_records_are_read_with_as_many_boxes_as_they_have(tmp_path: Path) -> None:
    records = {b"0": annotated(0, [(0, 0, 9, 9), (5, 5, 9, 9)]), b"1": annotated(1, [(1, 1, 4, 4)])}
    net = caffe.Net(
        f"""layer {{ name: "d" type: "AnnotatedData" top: "data" top: "label"
              data_param {{ source: "{write_lmdb(tmp_path / "db", records)}" batch_size: 1 backend: LMDB }} }}
            layer {{ name: "flat" type: "Flatten" bottom: "label" top: "flat" flatten_param {{ axis: 2 }} }}""",
        caffe.TEST,
    )
    for boxes in (2, 1, 2):
        out = net.forward()
        assert net.blobs["label"].shape == (1, 1, boxes, 8)
        np.testing.assert_array_equal(out["flat"], net.blobs["label"].data.reshape(1, 1, -1))
        assert out["flat"][0, 0, :2].tolist() == [0, 1 if boxes == 2 else 2]
        assert out["data"].max() == 255


@pytest.mark.parametrize("type", ["ImageData", "Data"])
def test_pictures_may_have_their_own_sizes(type: str, tmp_path: Path) -> None:
    sizes = [(12, 10), (16, 8)]
    if type == "ImageData":
        for number, size in enumerate(sizes):
            pixels = np.full((*size, 3), number + 1, np.uint8)
            (tmp_path / f"{number}.png").write_bytes(tf.io.encode_png(pixels).numpy())
        (tmp_path / "images").write_text("".join(f"{tmp_path}/{number}.png {number}\n" for number in range(2)))
        fields = f'image_data_param {{ source: "{tmp_path}/images" batch_size: 1 }}'
    else:
        records = {
            b"%d" % n: datum(n, (3, *size), data=bytes([n + 1]) * (3 * size[0] * size[1]))
            for n, size in enumerate(sizes)
        }
        source = write_lmdb(tmp_path / "db", records)
        fields = f'data_param {{ source: "{source}" batch_size: 1 backend: LMDB }}'
    net = caffe.Net(
        f"""layer {{ name: "d" type: "{type}" top: "data" top: "label" {fields} }}
            layer {{ name: "c" type: "Convolution" bottom: "data" top: "c"
              convolution_param {{ num_output: 1 kernel_size: 3 weight_filler {{ value: 1 }} }} }}""",
        caffe.TEST,
    )
    for number in (0, 1, 0):
        out = net.forward()
        height, width = sizes[number]
        assert net.blobs["data"].shape == (1, 3, height, width)
        assert out["label"].tolist() == [number]
        np.testing.assert_array_equal(out["c"], np.full((1, 1, height - 2, width - 2), 27 * (number + 1)))


def test_labels_of_data_that_are_read_have_one_axis(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(tf.io.encode_png(np.zeros((9, 9, 3), np.uint8)).numpy())
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"], file["label"] = np.zeros((2, 5)), np.zeros((2, 1))
    (tmp_path / "images").write_text(f"{tmp_path}/a.png 3\n")
    (tmp_path / "files").write_text(f"{tmp_path}/a.h5\n")
    (tmp_path / "windows").write_text(f"# 0\n{tmp_path}/a.png\n3\n9\n9\n2\n1 1 0 0 5 5\n0 0.1 2 2 8 8\n")
    crop = "transform_param { crop_size: 4 }"
    layers = {
        "Data": (f'data_param {{ source: "{write_lmdb(tmp_path / "db", 3)}" batch_size: 2 backend: LMDB }}', (2,)),
        "ImageData": (f'image_data_param {{ source: "{tmp_path}/images" batch_size: 2 }}', (2,)),
        "WindowData": (f'{crop} window_data_param {{ source: "{tmp_path}/windows" batch_size: 2 }}', (2,)),
        "HDF5Data": (f'hdf5_data_param {{ source: "{tmp_path}/files" batch_size: 2 }}', (2, 1)),
        "DummyData": ("dummy_data_param { shape { dim: 2 dim: 3 } shape { dim: 2 } }", (2,)),
    }
    for type, (fields, shape) in layers.items():
        net = caffe.Net(f'layer {{ name: "d" type: "{type}" top: "data" top: "label" {fields} }}', caffe.TEST)
        assert net.blobs["label"].shape == shape
        assert net.forward()["label"].shape == shape


def test_what_set_input_arrays_refuses() -> None:
    net = caffe.Net(MEMORY, caffe.TEST)
    with pytest.raises(DataError, match=r"4-axis data .* received \(4, 2\) and \(4,\)"):
        net.set_input_arrays(np.zeros((4, 2)), np.zeros(4))
    with pytest.raises(DataError, match=r"as many labels.* received \(4, 1, 2, 1\) and \(3,\)"):
        net.set_input_arrays(np.zeros((4, 1, 2, 1)), np.zeros(3))
    plain = caffe.Net('layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 } } }', caffe.TEST)
    with pytest.raises(DataError, match="MemoryData"):
        plain.set_input_arrays(np.zeros((4, 1, 2, 1)), np.zeros(4))
