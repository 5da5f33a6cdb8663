"""Layers of type Python in a pycaffe net."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import keras_caffe
from keras_caffe import proto
from keras_caffe import pycaffe as caffe
from keras_caffe.errors import LayerError, WeightsError


class Tenfold:
    """Ten times its bottom."""

    made = 0

    def setup(self, bottom: Any, top: Any) -> None:
        Tenfold.made += 1

    def reshape(self, bottom: Any, top: Any) -> None:
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom: Any, top: Any) -> None:
        top[0].data[...] = 10 * bottom[0].data

    def backward(self, top: Any, propagate_down: Any, bottom: Any) -> None:
        bottom[0].diff[...] = 10 * top[0].diff


NET = """
force_backward: true
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 5 dim: 3 dim: 2 } } }
layer { name: "one" type: "Python" bottom: "data" top: "one" python_param { module: "m" layer: "Tenfold" } }
layer { name: "two" type: "Power" bottom: "one" top: "two" power_param { scale: 2 } }
layer { name: "three" type: "Python" bottom: "two" top: "three" python_param { module: "m" layer: "Tenfold" } }
"""


def test_bottoms_may_get_another_number_of_axes() -> None:
    Tenfold.made = 0
    net = caffe.Net(NET, caffe.TEST, python_layers={"m.Tenfold": Tenfold})
    for shape in ((4, 4, 4, 4), (6,), (2, 3, 1, 2), (5, 3, 2)):
        net.blobs["data"].reshape(*shape)
        net.blobs["data"].data[...] = 3
        net.forward()
        assert {blob.shape for blob in net.blobs.values()} == {shape}
        np.testing.assert_array_equal(net.blobs["three"].data, np.full(shape, 600))
        net.blobs["three"].diff[...] = 7
        net.backward()
        np.testing.assert_array_equal(net.blobs["data"].diff, np.full(shape, 1400))
    assert Tenfold.made == 2


def test_reshape_alone_gives_the_blobs_their_shapes() -> None:
    net = caffe.Net(NET, caffe.TEST, python_layers={"m.Tenfold": Tenfold})
    net.blobs["data"].reshape(2, 2, 3, 4)
    net.reshape()
    assert {blob.shape for blob in net.blobs.values()} == {(2, 2, 3, 4)}
    net.blobs["three"].diff[...] = 7
    net.backward()
    np.testing.assert_array_equal(net.blobs["data"].diff, np.full((2, 2, 3, 4), 1400))


class Counter(Tenfold):
    """Has a parameter, whose gradient is 1."""

    def setup(self, bottom: Any, top: Any) -> None:
        self.blobs.add_blob(1)
        self.blobs[0].data[0] = 0

    def backward(self, top: Any, propagate_down: Any, bottom: Any) -> None:
        self.blobs[0].diff[0] += 1


def test_sharing_sets_no_layer_up_again() -> None:
    Tenfold.made = 0
    net, other = (caffe.Net(NET, caffe.TRAIN, python_layers={"m.Tenfold": Tenfold}) for _ in range(2))
    before = list(other.layers)
    other.share_with(net)
    assert Tenfold.made == 4 and all(
        mine is known for mine, known in zip(other.layers[1::2], before[1::2], strict=True)
    )


def test_a_layer_s_blobs_are_the_net_s(tmp_path: Path) -> None:
    net, other = (caffe.Net(NET, caffe.TRAIN, python_layers={"m.Tenfold": Counter}) for _ in range(2))
    net.forward()
    net.backward()
    blob = net.layers[1].blobs[0]
    assert isinstance(net.layers[1], Counter) and blob is net.params["one"][0]
    assert (blob.data[0], blob.diff[0]) == (0, 1)
    net.backward()
    assert blob.diff[0] == 2  # Caffe adds
    blob.data[0] += blob.diff[0]
    net.save(tmp_path / "net.caffemodel")
    blob.data[0] = -1
    net.copy_from(tmp_path / "net.caffemodel")
    assert blob.data[0] == 2  # at once, without a pass in between
    other.share_with(net)
    assert other.layers[1].blobs[0].data[0] == 2
    blob.data[0] = 5
    other.forward()
    assert other.layers[1].blobs[0].data[0] == 5
    net.clear_param_diffs()
    assert blob.diff[0] == 0


class Keeper(Tenfold):
    """Scales by a parameter that setup keeps."""

    def setup(self, bottom: Any, top: Any) -> None:
        self.blobs.add_blob(1)
        self.w = self.blobs[0]
        self.w.data[0] = 1

    def forward(self, bottom: Any, top: Any) -> None:
        top[0].data[...] = self.w.data[0] * bottom[0].data

    def backward(self, top: Any, propagate_down: Any, bottom: Any) -> None:
        self.w.diff[0] += np.sum(top[0].diff * bottom[0].data)
        bottom[0].diff[...] = self.w.data[0] * top[0].diff


class ArrayKeeper(Keeper):
    """The same, but setup keeps the arrays."""

    def setup(self, bottom: Any, top: Any) -> None:
        super().setup(bottom, top)
        self.array, self.gradient = self.blobs[0].data, self.blobs[0].diff

    def forward(self, bottom: Any, top: Any) -> None:
        top[0].data[...] = self.array * bottom[0].data

    def backward(self, top: Any, propagate_down: Any, bottom: Any) -> None:
        self.gradient += np.sum(top[0].diff * bottom[0].data)
        bottom[0].diff[...] = self.array * top[0].diff


KEPT = """
layer { name: "x" type: "DummyData" top: "x"
  dummy_data_param { shape { dim: 2 dim: 1 } data_filler { type: "constant" value: 3 } } }
layer { name: "y" type: "Python" bottom: "x" top: "y" python_param { module: "m" layer: "Keeper" } }
layer { name: "loss" type: "Reduction" bottom: "y" top: "loss" loss_weight: 1 }
"""


def test_arrays_that_setup_keeps_are_the_net_s(tmp_path: Path) -> None:
    net = caffe.Net(KEPT, caffe.TRAIN, python_layers={"m.Keeper": ArrayKeeper})
    layer, blob = net.layers[1], net.params["y"][0]
    assert net.forward()["loss"] == 6
    blob.data[0] = 5
    assert layer.array[0] == 5 and net.forward()["loss"] == 30
    layer.array[0] = 7  # counts as if written into the blob
    assert net.forward()["loss"] == 42 and blob.data[0] == 7
    net.backward()
    assert blob.diff[0] == layer.gradient[0] == 6
    net.save(tmp_path / "net.caffemodel")
    blob.data[0] = 1
    net.forward()
    net.copy_from(tmp_path / "net.caffemodel")
    assert layer.array[0] == 7 and net.forward()["loss"] == 42


@pytest.mark.parametrize("kept", [Keeper, ArrayKeeper])
def test_what_setup_keeps_has_a_model_s_values(kept: type) -> None:
    model = keras_caffe.load(NET, python_layers={"m.Tenfold": kept})
    for name, value in (("one", 4), ("three", 5)):
        model.caffe_layers[name].caffe_blobs[0].set(np.array([value], np.float32))
    np.testing.assert_array_equal(model.predict_on_batch(np.ones((5, 3, 2))), np.full((5, 3, 2), 40))


def test_a_blob_that_setup_keeps_is_the_net_s(tmp_path: Path) -> None:
    classes = {"m.Keeper": Keeper}
    net, other = (caffe.Net(KEPT, caffe.TRAIN, python_layers=classes) for _ in range(2))
    net.params["y"][0].data[0] = 5
    net.save(tmp_path / "net.caffemodel")
    other.copy_from(tmp_path / "net.caffemodel")
    assert other.forward()["loss"] == 30
    other.layers[1].w.data = 6
    assert other.params["y"][0].data[0] == 6 and other.layers[1].w.shape == (1,)
    other.backward()
    assert other.params["y"][0].diff[0] == 6
    other.share_with(net)
    assert other.forward()["loss"] == 30
    net.params["y"][0].data[0] = 2
    assert other.forward()["loss"] == 12
    other.copy_from(tmp_path / "net.caffemodel")
    assert other.forward()["loss"] == net.forward()["loss"] == 30


@pytest.mark.parametrize("kept", [Keeper, ArrayKeeper])
def test_a_blob_that_setup_keeps_is_trained(kept: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(KEPT)
    Path("solver.prototxt").write_text('net: "net.prototxt" base_lr: 0.5 lr_policy: "fixed" max_iter: 9')
    solver = caffe.SGDSolver("solver.prototxt", python_layers={"m.Keeper": kept})
    solver.step(1)
    assert solver.net.params["y"][0].data[0] == -2 and solver.net.layers[1].w.data[0] == -2
    solver.step(1)
    assert solver.net.blobs["loss"].data == -12 and solver.net.params["y"][0].data[0] == -5


class Odd(Exception):
    """No class that anybody else knows."""


@pytest.mark.parametrize(("phase", "name"), [(caffe.TRAIN, "TRAIN"), (caffe.TEST, "TEST")])
def test_a_phase_is_a_number_with_a_name(phase: int, name: str) -> None:
    layer = caffe.Net(NET, phase, python_layers={"m.Tenfold": Tenfold}).layers[1]
    assert layer.phase == phase and {"TRAIN": 12000, "TEST": 6000}[str(layer.phase)]
    assert (f"{layer.phase}", f"{layer.phase:d}") == (name, str(phase))


def failing(method: str, axes: int = 3) -> type:
    """A class of which this method fails where the bottom has so many axes."""

    def fail(self: Any, *blobs: Any) -> None:
        if method == "setup" or any(blob.data.ndim == axes for blob in blobs[0]):
            raise Odd("as the script says", method)
        getattr(Tenfold, method)(self, *blobs)

    return type("Failing", (Tenfold,), {method: fail})


@pytest.mark.parametrize("method", ["setup", "reshape"])
def test_what_a_layer_raises_at_set_up_arrives_as_it_is(method: str) -> None:
    with pytest.raises(Odd) as raised:
        caffe.Net(NET, caffe.TEST, python_layers={"m.Tenfold": failing(method)})
    assert raised.value.args == ("as the script says", method)
    assert raised.traceback[-1].name == "fail"
    assert raised.value.__cause__ is None


def test_what_a_layer_raises_later_arrives_as_it_is() -> None:
    net = caffe.Net(NET, caffe.TEST, python_layers={"m.Tenfold": failing("reshape", axes=2)})
    net.blobs["data"].reshape(2, 2)
    with pytest.raises(Odd, match="as the script says"):
        net.reshape()
    net = caffe.Net(NET, caffe.TEST, python_layers={"m.Tenfold": failing("forward")})
    with pytest.raises(Odd) as raised:
        net.forward()
    assert raised.value.args == ("as the script says", "forward")
    assert raised.traceback[-1].name == "fail"
    net = caffe.Net(NET, caffe.TEST, python_layers={"m.Tenfold": failing("backward")})
    net.forward()
    with pytest.raises(Odd, match="as the script says"):
        net.backward()


def test_a_model_says_which_layer_it_was_and_keeps_the_cause() -> None:
    with pytest.raises(LayerError, match="layer 'one' .* setup of Failing fails: Odd: .*as the script says") as raised:
        keras_caffe.load(NET, python_layers={"m.Tenfold": failing("setup")})
    assert isinstance(raised.value.__cause__, Odd)


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(LayerError, match="layer 'two' .* axis is out of range") as raised:
        caffe.Net(
            NET.replace('"Power"', '"Flatten"').replace("power_param { scale: 2 }", "flatten_param { axis: 9 }"),
            caffe.TEST,
            python_layers={"m.Tenfold": Tenfold},
        )
    assert raised.value.__cause__ is None


def one_layer(cls: type, more: str = "", top: str = "y") -> caffe.Net:
    """x (1, 2) -> p = x -> the Python layer."""
    text = f"""{more}
layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 1 dim: 2 }} }} }}
layer {{ name: "p" type: "Power" bottom: "x" top: "p" }}
layer {{ name: "y" type: "Python" bottom: "p" top: "{top}" python_param {{ module: "m" layer: "L" }} }}
layer {{ name: "z" type: "Power" bottom: "{top}" top: "z" }}"""
    net = caffe.Net(text, caffe.TRAIN, python_layers={"m.L": cls})
    net.blobs["x"].data[...] = [1, 2]
    return net


class Inside(Tenfold):
    """Works in the blob that is its bottom and its top."""

    def reshape(self, bottom: Any, top: Any) -> None:
        pass

    def forward(self, bottom: Any, top: Any) -> None:
        top[0].data[...] *= 2

    def backward(self, top: Any, propagate_down: Any, bottom: Any) -> None:
        bottom[0].diff[...] *= 3


def test_in_place_bottom_and_top_are_one_blob() -> None:
    net = one_layer(Inside, "force_backward: true", top="p")
    for _ in range(2):
        assert net.forward()["z"].tolist() == [[2, 4]]
    net.blobs["z"].diff[...] = 1
    assert net.backward()["x"].tolist() == [[3, 3]]


class Returns(Inside):
    def forward(self, bottom: Any, top: Any) -> None:
        pass


@pytest.mark.parametrize(("cls", "values", "diffs"), [(Inside, [[2, 4]], [[3, 3]]), (Returns, [[1, 2]], [[3, 3]])])
def test_in_place_in_a_model(cls: type, values: Any, diffs: Any) -> None:
    text = """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 } } }
      layer { name: "y" type: "Python" bottom: "x" top: "x" python_param { module: "m" layer: "L" } }"""
    model = keras_caffe.load(text, python_layers={"m.L": cls})
    x = tf.Variable([[1.0, 2.0]])
    with tf.GradientTape() as tape:
        y = model(x)
    assert y.numpy().tolist() == values
    assert tape.gradient(y, x).numpy().tolist() == diffs


class Touching(Tenfold):
    """Changes its bottom, adds to its top, and computes its bottom's diff in forward."""

    def forward(self, bottom: Any, top: Any) -> None:
        bottom[0].data[...] += 10
        top[0].data[...] += bottom[0].data
        bottom[0].diff[...] = 7

    def backward(self, top: Any, propagate_down: Any, bottom: Any) -> None:
        bottom[0].diff[...] *= top[0].diff


def test_a_layer_s_bottoms_and_tops_are_the_net_s() -> None:
    net = one_layer(Touching, "force_backward: true")
    assert net.forward()["z"].tolist() == [[11, 12]]
    assert net.blobs["p"].data.tolist() == [[11, 12]]
    assert net.forward()["z"].tolist() == [[22, 24]]
    net.blobs["y"].data[...] = 0
    assert net.forward()["z"].tolist() == [[11, 12]]
    net.blobs["z"].diff[...] = 2
    assert net.backward()["x"].tolist() == [[14, 14]]


class Writer(Tenfold):
    """Writes into another layer's parameters."""

    weights: Any

    def forward(self, bottom: Any, top: Any) -> None:
        top[0].data[...] = bottom[0].data
        Writer.weights.data[...] = 4


READ_LATER = (
    NET.split('layer { name: "two"')[0]
    + """
layer { name: "ip" type: "InnerProduct" bottom: "one" top: "ip"
  inner_product_param { num_output: 1 weight_filler { value: 1 } } }
"""
)


def test_parameters_that_are_written_during_a_pass_count_in_it() -> None:
    net = caffe.Net(READ_LATER, caffe.TEST, python_layers={"m.Tenfold": Writer})
    Writer.weights = net.params["ip"][0]
    net.blobs["data"].data[...] = 1
    assert net.forward()["ip"].tolist() == [[24]] * 5
    net.before_forward(lambda _: net.params["ip"][1].data.fill(6))
    assert net.forward()["ip"].tolist() == [[30]] * 5
    net.blobs["ip"].diff[...] = 1
    net.before_backward(lambda _: net.params["ip"][0].data.fill(5))
    net.backward(end="ip")
    assert (net.blobs["one"].diff == 5).all()


class Constructed(Tenfold):
    """Takes a LayerParameter, as Caffe's own class does."""

    def __init__(self, param: Any) -> None:
        super().__init__()
        self.param = param


def test_a_constructor_may_take_the_parameters() -> None:
    net = one_layer(Constructed)
    assert net.forward()["z"].tolist() == [[10, 20]]
    assert net.layers[2].param.type == "Python"


class Labelled(Tenfold):
    """A loss that knows no gradient for its labels."""

    def reshape(self, bottom: Any, top: Any) -> None:
        top[0].reshape(1)

    def forward(self, bottom: Any, top: Any) -> None:
        top[0].data[...] = np.sum(bottom[0].data - bottom[1].data)

    def backward(self, top: Any, propagate_down: Any, bottom: Any) -> None:
        assert list(propagate_down) == [True, False]
        bottom[0].diff[...] = top[0].diff


LABELLED = """
layer { name: "x" type: "DummyData" top: "x" top: "t" dummy_data_param { shape { dim: 2 } data_filler { value: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param { num_output: 1 axis: 0 } }
layer { name: "loss" type: "Python" bottom: "ip" bottom: "t" top: "loss" loss_weight: 2
  python_param { module: "m" layer: "Labelled" } }
"""


def test_backward_hears_which_diffs_the_net_uses() -> None:
    classes = {"m.Labelled": Labelled}
    net = caffe.Net(LABELLED, caffe.TRAIN, python_layers=classes)
    net.forward()
    net.backward()
    assert net.params["ip"][0].diff.tolist() == [[2, 2]]
    text = f'base_lr: 1 lr_policy: "fixed" net_param {{ {LABELLED} }}'
    solver = keras_caffe.load_solver(text, python_layers=classes)
    solver.step(1)
    assert solver.model.get_caffe_params()["ip"][0].tolist() == [[-2, -2]]


class Growing(Tenfold):
    """Changes its vector of blobs while the net runs: a moving mean, made when the first data come."""

    def setup(self, bottom: Any, top: Any) -> None:
        self.blobs.add_blob(1)
        self.vector = self.blobs
        self.spare = type(self.blobs)()
        self.spare.add_blob(2)
        self.spare[0].data[...] = 8

    def forward(self, bottom: Any, top: Any) -> None:
        if len(self.blobs) == 1:
            self.blobs.add_blob(3)
            self.blobs[0] = self.spare[0]
            self.blobs.extend([bottom[0]])
        self.blobs[1].data[...] += 1
        top[0].data[...] = bottom[0].data * self.vector[0].data[1] + self.vector[1].data[0]


def test_what_a_layer_does_to_its_vector_of_blobs_is_seen_in_the_net(tmp_path: Path) -> None:
    net, other = one_layer(Growing), one_layer(Growing)
    layer, params = net.layers[2], net.params["y"]
    assert params is layer.blobs is layer.vector and len(params) == 1
    assert net.forward()["z"].tolist() == [[9, 17]]
    assert [blob.shape for blob in params] == [(2,), (3,), (1, 2)]
    params[0].data[...], params[1].data[...] = 5, 20
    assert layer.spare[0].data.tolist() == [5, 5]  # one blob under two names
    assert net.forward()["z"].tolist() == [[26, 31]]
    net.save(tmp_path / "net.caffemodel")
    stored = proto.NetParameter.FromString((tmp_path / "net.caffemodel").read_bytes())
    assert [list(blob.data) for blob in stored.layer[2].blobs] == [[5, 5], [21, 21, 21], [1, 2]]
    other.forward()
    other.share_with(net)
    params[0].data[...] = 2
    assert other.layers[2].blobs[0].data.tolist() == [2, 2]
    del params[1:]
    assert [blob.shape for blob in layer.vector] == [(2,)]
    with pytest.raises(WeightsError, match="'y'.*cannot be replaced by this; expected a blob; received ndarray"):
        layer.blobs[0] = np.zeros(2)


def test_a_model_refuses_blobs_that_come_after_setup() -> None:
    model = keras_caffe.load(NET, python_layers={"m.Tenfold": Growing})
    with pytest.raises(Exception, match="another number of blobs after forward than after setup.*Add all .* in setup"):
        model(np.ones((5, 3, 2), np.float32))
