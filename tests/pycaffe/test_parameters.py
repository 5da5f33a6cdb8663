"""The parameters of a pycaffe net and the files that they come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format

from keras_caffe import pycaffe as caffe
from keras_caffe.errors import WeightsError
from keras_caffe.pycaffe.proto import caffe_pb2

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 } } }
layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" inner_product_param { num_output: 3 } }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" inner_product_param { num_output: 4 } }
"""
FORCE = "force_backward: true"


@pytest.fixture(params=[".caffemodel", ".caffemodel.h5"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    net = caffe.Net(NET, caffe.TEST)
    for name in "ab":
        net.params[name][0].data[...] = 7
    file = str(tmp_path / f"net{request.param}")
    (net.save_hdf5 if file.endswith(".h5") else net.save)(file)
    return file


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("num_output: 4", "num_output: 5"), "a stored blob has another shape"),
        (("num_output: 4", "num_output: 4 bias_term: false"), "another number of blobs"),
    ],
)
def test_a_layer_that_does_not_fit_can_be_renamed(stored: str, change: tuple[str, str], problem: str) -> None:
    text = NET.replace(*change)
    net = caffe.Net(text, caffe.TEST)
    for load in (net.copy_from, net.load_hdf5, lambda file: caffe.Net(text, file, caffe.TEST)):
        with pytest.raises(WeightsError, match=problem) as raised:
            load(stored)
        assert str(raised.value).endswith("Rename the layer to leave it as it is.")
        assert "skip_mismatch" not in str(raised.value)
    np.testing.assert_array_equal(net.params["a"][0].data, np.zeros((3, 2)))
    renamed = caffe.Net(text.replace('name: "b"', 'name: "fresh"'), stored, caffe.TEST)
    np.testing.assert_array_equal(renamed.params["a"][0].data, np.full((3, 2), 7))
    np.testing.assert_array_equal(renamed.params["fresh"][0].data, 0)


def test_arrays_that_nobody_holds_cost_nothing_later() -> None:
    net = caffe.Net(NET, caffe.TEST)
    assert [blobs[0].data.shape for blobs in net.params.values()]
    memories = [blob.data_memory for blob in net.own_params()]
    net.forward()
    assert not any(memory.handed_out for memory in memories)


@pytest.mark.parametrize("part", [lambda w: w, lambda w: w[0], lambda w: w.reshape(-1).T, np.asarray, memoryview])
def test_what_is_held_counts_whenever_it_is_written(part) -> None:
    net = caffe.Net(NET, caffe.TEST)
    name = next(iter(net.params))
    held = part(net.params[name][0].data)
    for value in (2.0, 3.0):
        net.forward()
        np.asarray(held)[...] = value
        net.forward()
        assert value in net.params[name][0].data
        assert value in net.plan.bound_blobs(net._layer_names.index(name))[0].get()


def test_what_is_written_and_let_go_counts() -> None:
    net = caffe.Net(NET, caffe.TEST)
    name = next(iter(net.params))
    net.forward()
    np.asarray(net.params[name][0].data)[...] = 5
    net.forward()
    assert (net.params[name][0].data == 5).all()
    assert net.params[name][0].data is net.params[name][0].data


NORMALISED = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 2 } } }
layer { name: "bn" type: "BatchNorm" bottom: "data" top: "bn" }
layer { name: "ip" type: "InnerProduct" bottom: "bn" top: "ip" inner_product_param { num_output: 2 } }
"""


def test_who_shares_takes_the_other_s_statistics() -> None:
    trained, other = caffe.Net(NORMALISED, caffe.TRAIN), caffe.Net(NORMALISED, caffe.TEST)
    trained.forward(data=np.arange(8).reshape(4, 2))
    statistics = [blob.data.copy() for blob in trained.params["bn"]]
    assert statistics[0].any()
    other.share_with(trained)
    for net in (trained, other):
        for blob, expected in zip(net.params["bn"], statistics, strict=True):
            np.testing.assert_array_equal(blob.data, expected)
    trained.forward(data=np.ones((4, 2)))
    np.testing.assert_array_equal(other.params["bn"][0].data, trained.params["bn"][0].data)
    assert not np.array_equal(other.params["bn"][0].data, statistics[0])
    other.forward(data=np.ones((4, 2)))  # statistics alone, which TEST leaves as they are
    mean = trained.params["bn"][0].data / trained.params["bn"][2].data
    variance = trained.params["bn"][1].data / trained.params["bn"][2].data
    expected = (1 - mean) / np.sqrt(variance + 1e-5)
    np.testing.assert_allclose(other.blobs["bn"].data[0], expected, rtol=1e-5)


PERMISSIVE = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 } } }
layer { name: "a" type: "InnerProduct" bottom: "x" top: "a" param { name: "w" }
  inner_product_param { num_output: 4 bias_term: false } }
"""
SHARER = """
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" param { name: "w" share_mode: PERMISSIVE }
  inner_product_param { num_output: 3 bias_term: false } }
"""
ALONE = 'layer { name: "a" type: "Input" top: "a" input_param { shape { dim: 1 dim: 4 } } }'


def test_copies_reach_what_another_net_holds_in_another_shape(tmp_path: Path) -> None:
    owner, other = caffe.Net(PERMISSIVE + SHARER, caffe.TEST), caffe.Net(ALONE + SHARER, caffe.TEST)
    values = np.arange(12, dtype="float32").reshape(3, 4)
    other.params["b"][0].data[...] = values
    other.save(tmp_path / "b.caffemodel")
    other.share_with(owner)
    other.copy_from(tmp_path / "b.caffemodel")
    np.testing.assert_array_equal(other.params["b"][0].data, values)
    np.testing.assert_array_equal(owner.params["a"][0].data, values.reshape(4, 3))
    np.testing.assert_array_equal(other.forward(a=np.ones((1, 4)))["b"], [values.sum(1)])


def test_an_assigned_blob_takes_the_place_of_the_layer_s(tmp_path: Path) -> None:
    trained, net = caffe.Net(NET, caffe.TRAIN), caffe.Net(NET + FORCE, caffe.TRAIN)
    trained.params["a"][0].data[...] = 2
    for mine, theirs in zip(net.layers, trained.layers, strict=True):
        for number, blob in enumerate(theirs.blobs):
            mine.blobs[number] = blob
    assert type(net.params["a"]) is caffe._caffe.BlobVec and net.params["a"] is net.layers[1].blobs
    np.testing.assert_array_equal(net.params["a"][0].data, np.full((3, 2), 2))
    trained.params["b"][0].data[...] = 3  # the values of both from now on
    np.testing.assert_array_equal(net.forward(data=np.ones((1, 2)))["b"], [[36, 36, 36, 36]])
    net.blobs["b"].diff[...] = 1
    net.backward()
    np.testing.assert_array_equal(trained.params["b"][0].diff, np.full((4, 3), 4))
    np.testing.assert_array_equal(net.blobs["data"].diff, [[72, 72]])
    net.save(tmp_path / "net.caffemodel")
    again = caffe.Net(NET, str(tmp_path / "net.caffemodel"), caffe.TEST)
    np.testing.assert_array_equal(again.forward(data=np.ones((1, 2)))["b"], [[36, 36, 36, 36]])
    net.copy_from(tmp_path / "net.caffemodel")
    net.blobs["data"].reshape(2, 2)
    np.testing.assert_array_equal(net.forward(data=np.ones((2, 2)))["b"], np.full((2, 4), 36))


def test_a_blob_may_take_a_place_of_another_shape_but_not_of_another_size() -> None:
    net = caffe.Net(NET.replace("num_output: 4", "num_output: 2"), caffe.TEST)
    net.params["a"][0].data[...] = [[1, 2], [3, 4], [5, 6]]
    net.params["b"][0] = net.params["a"][0]  # Caffe reads the numbers in their order
    np.testing.assert_array_equal(net.forward(data=np.ones((1, 2)))["b"], [[3 + 14 + 33, 12 + 35 + 66]])
    for blob in (net.params["a"][1], net.blobs["a"], np.zeros((2, 3))):
        with pytest.raises(WeightsError, match=r"'b'.*blob 1 cannot be replaced.*copy values into `.data\[...\]`"):
            net.params["b"][-1] = blob
    with pytest.raises(IndexError, match="out of range"):
        net.params["b"][2] = net.params["a"][0]
    with pytest.raises(WeightsError, match=r"'b'.*blob 1 .*received nothing"):
        del net.params["b"][1]


def test_a_blob_that_is_added_to_a_layer_is_saved_with_it(tmp_path: Path) -> None:
    net = caffe.Net(NET, caffe.TEST)
    before = net.forward(data=np.ones((1, 2)))["b"].copy()
    net.params["a"].add_blob(2, 5)
    net.params["a"][2].data[...] = 7
    assert len(net.layers[1].blobs) == 3
    np.testing.assert_array_equal(net.forward()["b"], before)  # an InnerProduct has no use for it
    net.save(tmp_path / "net.caffemodel")
    stored = caffe_pb2.NetParameter.FromString((tmp_path / "net.caffemodel").read_bytes())
    layer = next(layer for layer in stored.layer if layer.name == "a")
    assert [list(blob.shape.dim) for blob in layer.blobs] == [[3, 2], [3], [2, 5]]
    assert list(layer.blobs[2].data) == [7] * 10


def test_a_solver_trains_the_blob_that_the_net_was_made_with() -> None:
    """Caffe's solver has its own list of blobs, which an assignment to a layer's does not reach."""
    text = """
    layer { name: "x" type: "DummyData" top: "x"
      dummy_data_param { shape { dim: 1 dim: 1 } data_filler { value: 1 } } }
    layer { name: "a" type: "InnerProduct" bottom: "x" top: "a"
      inner_product_param { num_output: 1 bias_term: false weight_filler { value: 5 } } }
    layer { name: "b" type: "InnerProduct" bottom: "a" top: "b"
      inner_product_param { num_output: 1 bias_term: false weight_filler { value: 3 } } }
    layer { name: "loss" type: "Reduction" bottom: "b" top: "loss" loss_weight: 1 }"""
    param = caffe_pb2.SolverParameter(base_lr=0.5, lr_policy="fixed", max_iter=9)
    text_format.Parse(text, param.net_param)
    solver = caffe.SGDSolver(param)
    a, b = solver.net.params["a"], solver.net.params["b"]
    own = b[0]
    b[0] = a[0]
    solver.step(1)
    assert solver.net.blobs["loss"].data == 25  # both layers multiply by 5
    assert a[0].data == 5 - 0.5 * (5 + 5) and a[0].diff == 5 and own.data == 3 and own.diff == 0


def test_a_blob_that_a_script_makes_larger_keeps_its_values_through_a_pass(tmp_path: Path) -> None:
    net = caffe.Net(NET, caffe.TEST)
    weights, bias = net.params["b"]
    rows = np.arange(18, dtype="float32").reshape(6, 3)
    weights.reshape(6, 3)
    weights.data.flat = rows.flat
    bias.reshape(6)
    net.params["a"][1].data[...] = 1
    np.testing.assert_array_equal(net.forward()["b"], [rows[:4].sum(1)])  # as many outputs as the layer says
    net.save(tmp_path / "net.caffemodel")
    larger = caffe.Net(NET.replace("num_output: 4", "num_output: 6"), str(tmp_path / "net.caffemodel"), caffe.TEST)
    np.testing.assert_array_equal(larger.forward()["b"], [rows.sum(1)])


class Growing(caffe.Layer):
    """Adds a blob when the first data come."""

    def setup(self, bottom: Any, top: Any) -> None:
        self.blobs.add_blob(1)
        self.blobs.add_blob(2)

    def reshape(self, bottom: Any, top: Any) -> None:
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom: Any, top: Any) -> None:
        if len(self.blobs) == 2:
            self.blobs.add_blob(3)
        top[0].data[...] = bottom[0].data * self.blobs[0].data[0] + self.blobs[2].data[0]


def growing() -> caffe.Net:
    return caffe.Net(
        """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 } } }
        layer { name: "y" type: "Python" bottom: "x" top: "y" python_param { module: "m" layer: "L" } }""",
        caffe.TEST,
        python_layers={"m.L": Growing},
    )


@pytest.mark.parametrize("save", ["save", "save_hdf5"])
def test_a_net_reads_what_it_has_saved_after_a_layer_grew(save: str, tmp_path: Path) -> None:
    net, fresh = growing(), growing()
    file = tmp_path / ("net.caffemodel.h5" if save == "save_hdf5" else "net.caffemodel")
    net.forward(x=np.ones((1, 2)))
    for blob, value in zip(net.params["y"], (2, 3, 4), strict=True):
        blob.data[...] = value
    getattr(net, save)(file)
    for blob in net.params["y"]:
        blob.data[...] = -1
    net.copy_from(file)
    assert [blob.data.tolist() for blob in net.params["y"]] == [[2], [3, 3], [4, 4, 4]]
    assert net.forward(x=np.ones((1, 2)))["y"].tolist() == [[2 + 4, 2 + 4]]
    with pytest.raises(WeightsError, match="'y'.*another number of blobs.*expected 2 .*; received 3"):
        fresh.copy_from(file)
    fresh.forward()
    fresh.share_with(net)
    net.params["y"][2].data[...] = 7
    assert fresh.forward(x=np.ones((1, 2)))["y"].tolist() == [[2 + 7, 2 + 7]]


def test_a_blob_that_a_script_has_deleted_is_missed_by_name(tmp_path: Path) -> None:
    net, other = growing(), growing()
    other.save(tmp_path / "net.caffemodel")
    del net.params["y"][1]
    with pytest.raises(WeightsError, match="'y'.*another number of blobs.*expected 1 .*; received 2"):
        net.copy_from(tmp_path / "net.caffemodel")
    for mine, theirs, shapes in ((net, other, ([(1,)], [(1,), (2,)])), (other, net, ([(1,), (2,)], [(1,)]))):
        with pytest.raises(WeightsError, match="'y': the other net's layer has other blobs") as raised:
            mine.share_with(theirs)
        assert (str(raised.value.expected), str(raised.value.received)) == tuple(map(str, shapes))
    net.params["y"][0].data[...] = 5
    net.save(tmp_path / "one.caffemodel")
    net.params["y"][0].data[...] = 6
    net.copy_from(tmp_path / "one.caffemodel")
    assert net.params["y"][0].data.tolist() == [5]


def test_an_added_blob_of_an_inner_product_is_read_again(tmp_path: Path) -> None:
    net = caffe.Net(NET, caffe.TEST)
    net.params["a"].add_blob(2, 5)
    net.params["a"][0].data[...], net.params["a"][2].data[...] = 3, 7
    net.save(tmp_path / "net.caffemodel")
    net.params["a"][0].data[...], net.params["a"][2].data[...] = 0, 0
    net.copy_from(tmp_path / "net.caffemodel")
    assert (net.params["a"][0].data == 3).all() and (net.params["a"][2].data == 7).all()


def test_a_blob_of_no_variable_is_shared_too() -> None:
    net, other = growing(), growing()
    spare = type(net.params["y"])()
    spare.add_blob(1)
    net.params["y"][0] = spare[0]
    other.share_with(net)
    spare[0].data[...] = 9
    assert other.params["y"][0].data.tolist() == [9]
    assert other.forward(x=np.ones((1, 2)))["y"].tolist() == [[9, 9]]
