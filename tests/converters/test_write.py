"""Caffe files that we write: read again, and against files that Caffe wrote."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import keras_caffe
from keras_caffe import proto, samples
from keras_caffe.converters import write
from keras_caffe.converters.read import read_net, read_weights
from keras_caffe.converters.splits import with_splits
from keras_caffe.converters.write import write_caffemodel
from keras_caffe.errors import NetError, ReadError, WeightsError
from tests.golden_nets import selected
from tests.shared_goldens import GOLDENS

NET = GOLDENS / "net"
SUFFIXES = (".caffemodel", ".caffemodel.h5")

pytestmark = pytest.mark.filterwarnings("ignore::keras_caffe.CaffeWarning")


def source() -> str:
    with np.load(NET / "weights_by_name.npz") as file:
        return json.loads(str(file["meta"]))["src_prototxt"]


def blobs_of(path: Path) -> dict[str, list[np.ndarray]]:
    return {layer.name: [blob.array for blob in layer.blobs if blob] for layer in read_weights(path)}


def assert_same(one: dict[str, list[np.ndarray]], other: dict[str, list[np.ndarray]]) -> None:
    assert one.keys() == other.keys()
    for name, arrays in one.items():
        assert [a.shape for a in arrays] == [a.shape for a in other[name]]
        assert all(a.tobytes() == b.tobytes() for a, b in zip(arrays, other[name], strict=True)), name


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_caffe_wrote_we_write(suffix: str, tmp_path: Path) -> None:
    """The same layers with the same blobs, Split layers and shared blobs included."""
    theirs, ours = NET / f"w_src{suffix}", tmp_path / f"ours{suffix}"
    model = keras_caffe.load(source(), NET / "w_src.caffemodel", phase="TEST")
    keras_caffe.save(model, caffemodel=ours)
    assert_same(blobs_of(ours), blobs_of(theirs))
    assert [layer.type for layer in read_weights(ours)] == [layer.type for layer in read_weights(theirs)]


def test_the_binary_file_is_caffes_byte_for_byte(tmp_path: Path) -> None:
    theirs = NET / "w_src.caffemodel"
    net = with_splits(selected(source(), "TEST"))
    blobs = blobs_of(theirs)
    write_caffemodel(tmp_path / "ours", net, [blobs[layer.name] for layer in net.layer])
    assert (tmp_path / "ours").read_bytes() == theirs.read_bytes()


def test_lenet_as_caffe_trained_it(tmp_path: Path) -> None:
    """All layers of the train net that Caffe wrote, also those that have no blobs."""
    theirs = samples.path("lenet.caffemodel")
    net = with_splits(selected((GOLDENS / "lenet" / "lenet_train_test.prototxt").read_text(), "TRAIN"))
    blobs = blobs_of(theirs)
    write_caffemodel(tmp_path / "ours", net, [blobs[layer.name] for layer in net.layer])
    assert_same(blobs_of(tmp_path / "ours"), blobs)
    ours, caffes = (proto.NetParameter.FromString(Path(p).read_bytes()) for p in (tmp_path / "ours", theirs))
    assert [(x.name, x.type, list(x.top)) for x in ours.layer] == [(x.name, x.type, list(x.top)) for x in caffes.layer]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_round_trip_through_a_model(suffix: str, tmp_path: Path) -> None:
    prototxt, weights = tmp_path / "net.prototxt", tmp_path / f"net{suffix}"
    model = keras_caffe.load(samples.path("lenet.prototxt"), samples.path("lenet.caffemodel"))
    keras_caffe.save(model, prototxt, weights)
    again = keras_caffe.load(prototxt, weights)
    assert_same(again.get_caffe_params(), model.get_caffe_params())
    digits = np.random.default_rng(0).normal(size=(2, 28, 28, 1)).astype("float32")
    np.testing.assert_array_equal(np.asarray(again(digits)), np.asarray(model(digits)))
    assert again.load_report.kept == []


def test_the_definition_has_the_shapes_in_use_and_no_rules(tmp_path: Path) -> None:
    text = """
layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } include { phase: TEST } }
layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 1 } } include { phase: TRAIN } }
layer { name: "r" type: "ReLU" bottom: "d" top: "d" }"""
    model = keras_caffe.load(text, input_shapes={"d": (2, 3, 5, 7)})
    keras_caffe.save(model, tmp_path / "net.prototxt")
    written = read_net(tmp_path / "net.prototxt").message
    assert [layer.name for layer in written.layer] == ["d", "r"]
    assert list(written.layer[0].input_param.shape[0].dim) == [2, 3, 5, 7]
    assert not any(layer.include or layer.HasField("phase") for layer in written.layer)


def test_diffs_odd_values_and_shapes_survive(tmp_path: Path) -> None:
    net = proto.NetParameter(name="n", layer=[proto.LayerParameter(name="a", type="A")])
    values = np.array([np.nan, -0.0, np.inf, 1e-42], "float32")
    arrays = [values, np.float32(3).reshape(()), np.zeros((2, 0, 3), "float32"), values.reshape(2, 2).T]
    diffs = [array + 1 for array in arrays]
    write_caffemodel(tmp_path / "w.caffemodel", net, [arrays], diffs=[diffs])
    (layer,) = read_weights(tmp_path / "w.caffemodel")
    for blob, array, diff in zip(layer.blobs, arrays, diffs, strict=True):
        assert (blob.array.shape, blob.array.tobytes()) == (array.shape, array.tobytes())
        assert diff.size == 0 or blob.diff.tobytes() == diff.tobytes()


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.caffemodel"
    path.write_text("before")
    net = proto.NetParameter(layer=[proto.LayerParameter(name="a")])
    monkeypatch.setattr(write, "SIZE_LIMIT", 100)
    with pytest.raises(WeightsError, match=r"\.h5"):
        write_caffemodel(path, net, [[np.zeros(100, "float32")]])
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["w.caffemodel"]
    with pytest.raises(ReadError, match="cannot be written"):
        write_caffemodel(tmp_path / "no" / "w.caffemodel", net, [[]])


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "there" / "w.caffemodel", tmp_path / "w.caffemodel"
    target.parent.mkdir()
    link.symlink_to(target)
    write_caffemodel(link, proto.NetParameter(layer=[proto.LayerParameter(name="a")]), [[]])
    assert link.is_symlink() and [layer.name for layer in read_weights(target)] == ["a"]


def test_only_loaded_nets_can_be_saved(tmp_path: Path) -> None:
    with pytest.raises(NetError, match="Sequential"):
        import keras

        keras_caffe.save(keras.Sequential(), tmp_path / "net.prototxt")
