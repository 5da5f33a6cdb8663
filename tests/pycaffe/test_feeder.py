"""Nets with data layers: each forward pass takes the next batch."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from keras_caffe import pycaffe as caffe
from keras_caffe import samples
from keras_caffe.errors import DataError


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
        labels.append(out["l"].tolist())
        np.testing.assert_array_equal(out["y"], 2 * net.blobs["d"].data)
    assert labels == [[0, 1], [2, 3], [0, 1]]


def test_what_set_input_arrays_refuses() -> None:
    net = caffe.Net(MEMORY, caffe.TEST)
    with pytest.raises(DataError, match=r"4-axis data .* received \(4, 2\) and \(4,\)"):
        net.set_input_arrays(np.zeros((4, 2)), np.zeros(4))
    with pytest.raises(DataError, match=r"as many labels.* received \(4, 1, 2, 1\) and \(3,\)"):
        net.set_input_arrays(np.zeros((4, 1, 2, 1)), np.zeros(3))
    plain = caffe.Net('layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 } } }', caffe.TEST)
    with pytest.raises(DataError, match="MemoryData"):
        plain.set_input_arrays(np.zeros((4, 1, 2, 1)), np.zeros(4))
