"""What scripts written for pycaffe do with a Net."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import keras_caffe
from keras_caffe import pycaffe as caffe
from keras_caffe import samples
from keras_caffe.errors import CaffeError, LayerError, NetError, ReadError, ShapeError, WeightsError
from keras_caffe.ops.python_layer import PythonBlob

TINY = """
name: "tiny"
force_backward: true
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 6 dim: 5 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "gaussian" std: 0.3 } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
  inner_product_param { num_output: 3 weight_filler { type: "gaussian" std: 0.3 } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""
CONVOLUTIONAL = TINY.split('layer { name: "fc"')[0]


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, 3, 6, 5)).astype("float32")


@pytest.fixture
def net(images: np.ndarray) -> caffe.Net:
    caffe.set_random_seed(3)
    net = caffe.Net(TINY, caffe.TEST)
    net.blobs["data"].data[...] = images
    return net


def lenet() -> caffe.Net:
    caffe.set_mode_cpu()
    return caffe.Net(str(samples.path("lenet.prototxt")), str(samples.path("lenet.caffemodel")), caffe.TEST)


def test_lenet_classifies_as_the_keras_model_does() -> None:
    net = lenet()
    digits, labels = samples.digits()
    (name,) = net.inputs
    net.blobs[name].reshape(len(digits), 1, 28, 28)
    net.blobs[name].data[...] = digits * 0.00390625
    out = net.forward()
    scores = out[net.outputs[0]]
    assert (scores.argmax(1) == labels).mean() > 0.95
    model = keras_caffe.load(samples.path("lenet.prototxt"), samples.path("lenet.caffemodel"))
    expected = model.predict(np.moveaxis(digits, 1, -1) * np.float32(0.00390625), verbose=0)
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "arguments",
    [
        ((caffe.TEST,), {}),
        ((), {"phase": caffe.TEST}),
        ((None, caffe.TEST), {}),
        ((caffe.TEST, 0, ["deploy"]), {}),
        ((), {"phase": caffe.TEST, "level": 0, "stages": ["a"], "weights": None}),
    ],
)
def test_spellings_of_the_constructor(arguments) -> None:
    args, kwargs = arguments
    assert caffe.Net(TINY, *args, **kwargs).inputs == ["data"]


def test_file_and_phase_are_needed(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="phase"):
        caffe.Net(TINY)
    with pytest.raises(NetError, match="two phases"):
        caffe.Net(TINY, 2)
    with pytest.raises(ReadError, match="none.prototxt: there is no such file"):
        caffe.Net(str(tmp_path / "none.prototxt"), caffe.TEST)
    (tmp_path / "net.prototxt").write_text(TINY)
    assert caffe.Net(network_file=str(tmp_path / "net.prototxt"), phase=caffe.TRAIN).phase == caffe.TRAIN


def test_arrays_stay_the_same_objects(net: caffe.Net, images: np.ndarray) -> None:
    prob, data, weights = net.blobs["prob"].data, net.blobs["data"].data, net.params["conv"][0].data
    assert net.blobs["prob"].data is prob
    net.forward()
    first = prob.copy()
    assert first.any()
    data[...] = images[::-1]
    out = net.forward()
    np.testing.assert_allclose(prob, first[::-1], rtol=1e-5)
    assert out["prob"] is prob
    assert net.blobs["data"].data is data
    assert net.params["conv"][0].data is weights


def test_assigning_into_parameters_counts(net: caffe.Net) -> None:
    net.forward()
    before = net.blobs["fc"].data.copy()
    net.params["fc"][1].data[...] = [1, 2, 3]
    net.params["fc"][0].data[1] *= 2
    net.forward()
    np.testing.assert_allclose(net.blobs["fc"].data, before * [1, 2, 1] + [1, 2, 3], rtol=1e-4, atol=1e-5)
    with pytest.raises(AttributeError, match="'data' of 'ParamBlob' object has no setter|can't set attribute 'data'"):
        net.params["fc"][1].data = np.zeros(3)


def test_net_surgery_makes_lenet_convolutional() -> None:
    """The example of Caffe's notebook: an InnerProduct becomes a Convolution with the same numbers."""
    text = samples.path("lenet.prototxt").read_text()
    name = next(n for n, layer in lenet().layer_dict.items() if layer.type == "InnerProduct")
    model = lenet()
    inner = model.params[name]
    channels = model.blobs[model.bottom_names[name][0]].channels
    size = model.blobs[model.bottom_names[name][0]].height
    old = text[text.index(f'name: "{name}"') :]
    old = old[: old.index("\nlayer")]
    new = f'name: "{name}"\n  type: "Convolution"\n  bottom: "{model.bottom_names[name][0]}"\n  top: "{name}"\n'
    new += f"  convolution_param {{ num_output: {inner[0].shape[0]} kernel_size: {size} }}\n}}"
    surgical = caffe.Net(text.replace(old, new), caffe.TEST)
    for layer in set(model.params) - {name}:
        for mine, theirs in zip(surgical.params[layer], model.params[layer], strict=True):
            mine.data[...] = theirs.data
    surgical.params[name][0].data.flat = inner[0].data.flat
    surgical.params[name][1].data[...] = inner[1].data
    assert surgical.params[name][0].shape == (inner[0].shape[0], channels, size, size)
    (data,) = model.inputs
    digit = np.random.default_rng(0).random(model.blobs[data].shape, "float32")
    for net in (model, surgical):
        net.forward(**{data: digit})
    want, got = model.blobs[model.outputs[0]].data, surgical.blobs[model.outputs[0]].data
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_reshape_plans_anew_and_keeps_parameters(images: np.ndarray) -> None:
    net = caffe.Net(CONVOLUTIONAL, caffe.TEST)
    weights = net.params["conv"][0].data
    weights[...] = 0.5
    net.blobs["data"].reshape(1, 3, 9, 11)
    net.reshape()
    assert [b.shape for b in net.blobs.values()] == [(1, 3, 9, 11), (1, 4, 7, 9), (1, 4, 4, 5)]
    net.blobs["data"].data[...] = 1
    net.forward()
    np.testing.assert_allclose(net.blobs["pool"].data, 13.5, rtol=1e-6)
    assert net.params["conv"][0].data is weights
    weights[...] = 1
    net.blobs["data"].reshape(*images.shape)
    net.blobs["data"].data[...] = 1
    assert net.forward()["pool"].shape == (2, 4, 2, 2)  # forward reshapes too
    np.testing.assert_allclose(net.blobs["pool"].data, 27, rtol=1e-6)


def test_reshape_refuses_what_parameters_do_not_fit(net: caffe.Net) -> None:
    net.blobs["data"].reshape(2, 3, 12, 12)
    with pytest.raises(ShapeError, match="'fc'"):
        net.reshape()


def test_inputs_are_all_given_and_in_the_batch_size(net: caffe.Net, images: np.ndarray) -> None:
    assert net.forward(data=images)["prob"].sum() == pytest.approx(2)
    with pytest.raises(NetError, match="inputs"):
        net.forward(dta=images)
    with pytest.raises(ShapeError, match="batch"):
        net.forward(data=images[:1])
    with pytest.raises(ShapeError, match="'data' has another shape"):
        net.forward(data=images[:, :2])


def test_blobs_can_be_asked_for(net: caffe.Net) -> None:
    out = net.forward(blobs=["conv", "pool"])
    assert set(out) == {"prob", "conv", "pool"}
    assert (out["conv"] >= 0).all()
    with pytest.raises(NetError, match="no blob 'nope'"):
        net.forward(blobs=["nope"])


def test_partial_forward(net: caffe.Net) -> None:
    net.forward()
    whole = net.blobs["prob"].data.copy()
    net.blobs["prob"].data[...] = 0
    assert set(net.forward(end="pool")) == {"pool"}
    assert not net.blobs["prob"].data.any()
    assert set(net.forward(start="fc", end="fc")) == {"fc"}
    net.forward(start="prob")
    np.testing.assert_allclose(net.blobs["prob"].data, whole, rtol=1e-6)
    net.blobs["pool"].data[...] = 0
    net.forward(start="fc")
    np.testing.assert_allclose(net.blobs["prob"].data, 1 / 3, rtol=1e-6)
    with pytest.raises(NetError, match="no layer 'nope'"):
        net.forward(end="nope")


def test_starting_after_an_in_place_layer_skips_it(net: caffe.Net) -> None:
    net.forward()
    net.blobs["conv"].data[...] = -1
    net.forward(start="pool")
    assert (net.blobs["pool"].data == -1).all()
    net.forward(start="relu", end="pool")
    assert (net.blobs["pool"].data == 0).all()


def test_a_split_shares_its_memory() -> None:
    net = caffe.Net(
        """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 } } }
        layer { name: "a" type: "Power" bottom: "x" top: "a" power_param { scale: 2 } }
        layer { name: "b" type: "Power" bottom: "x" top: "b" power_param { shift: 1 } }""",
        caffe.TEST,
    )
    assert list(net.blobs) == ["x", "x_x_0_split_0", "x_x_0_split_1", "a", "b"]
    net.forward()
    net.blobs["x"].data[...] = 5
    net.forward(start="a")
    assert net.blobs["a"].data.tolist() == [10, 10]
    assert net.blobs["b"].data.tolist() == [6, 6]


def test_forward_all_fills_up_the_last_batch(net: caffe.Net) -> None:
    many = np.random.default_rng(1).normal(size=(5, 3, 6, 5)).astype("float32")
    out = net.forward_all(blobs=["fc"], data=many)
    assert out["prob"].shape == (5, 3)
    for i in range(5):
        alone = net.forward(data=np.stack([many[i], many[i]]))["prob"][0]
        np.testing.assert_allclose(out["prob"][i], alone, rtol=1e-5)
    assert out["fc"].shape == (5, 3)


def test_forward_backward_all(net: caffe.Net) -> None:
    many = np.random.default_rng(1).normal(size=(3, 3, 6, 5)).astype("float32")
    seeds = np.random.default_rng(2).normal(size=(3, 3)).astype("float32")
    out, diffs = net.forward_backward_all(diffs=["pool"], data=many, prob=seeds)
    assert (out["prob"].shape, diffs["data"].shape, diffs["pool"].shape) == ((3, 3), many.shape, (3, 4, 2, 2))
    net.forward(data=many[:2])
    np.testing.assert_allclose(diffs["data"][:2], net.backward(prob=seeds[:2])["data"], rtol=1e-5)


def test_saliency_is_the_gradient(net: caffe.Net) -> None:
    """The gradient of one class score for the pixels, against differences."""
    net.forward()
    net.blobs["fc"].diff[...] = 0
    net.blobs["fc"].diff[0, 1] = 1
    net.backward(start="fc")
    saliency = net.blobs["data"].diff.copy()
    assert saliency[0].any()
    assert not saliency[1].any()
    for place in [(0, 1, 2, 3), (0, 0, 4, 1)]:
        scores = []
        for step in (1e-2, -2e-2):
            net.blobs["data"].data[place] += step
            net.forward()
            scores.append(float(net.blobs["fc"].data[0, 1]))
        net.blobs["data"].data[place] += 1e-2
        assert (scores[0] - scores[1]) / 2e-2 == pytest.approx(saliency[place], abs=2e-3)


def test_a_step_of_deep_dream(net: caffe.Net) -> None:
    """forward to a layer, its data as its diff, backward from there."""
    net.forward(end="pool")
    net.blobs["pool"].diff[...] = net.blobs["pool"].data
    before = np.square(net.blobs["pool"].data).sum()
    gradient = net.backward(start="pool")["data"]
    net.blobs["data"].data[...] += 0.01 * gradient
    net.forward(end="pool")
    assert np.square(net.blobs["pool"].data).sum() > before
    assert not net.blobs["prob"].data.any()


def test_backward_with_top_diffs_and_an_end(net: caffe.Net) -> None:
    net.forward()
    seeds = np.random.default_rng(2).normal(size=(2, 3)).astype("float32")
    assert set(net.backward(end="fc", prob=seeds)) == {"pool"}
    assert not net.blobs["data"].diff.any()
    found = net.backward(start="pool", diffs=["conv"])
    assert set(found) == {"data", "conv"}
    whole = found["data"].copy()
    net.backward(prob=seeds)
    np.testing.assert_allclose(net.blobs["data"].diff, whole, rtol=1e-5, atol=1e-7)
    with pytest.raises(NetError, match="top diffs"):
        net.backward(nope=seeds)


def test_parameter_diffs_add_up_until_cleared(net: caffe.Net) -> None:
    net.forward()
    seeds = np.random.default_rng(2).normal(size=(2, 3)).astype("float32")
    net.backward(prob=seeds)
    once = net.params["conv"][0].diff.copy()
    assert once.any()
    net.backward(prob=seeds)
    np.testing.assert_allclose(net.params["conv"][0].diff, 2 * once, rtol=1e-5)
    net.clear_param_diffs()
    assert not net.params["conv"][0].diff.any()


def test_without_a_loss_nothing_runs_backward(images: np.ndarray) -> None:
    net = caffe.Net(TINY.replace("force_backward: true", ""), caffe.TEST)
    net.forward(data=images)
    assert not net.backward(prob=np.ones((2, 3)))["data"].any()
    assert not net.params["fc"][0].diff.any()


DROPPED = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 50 } } }
layer { name: "w" type: "Scale" bottom: "x" top: "y" scale_param { filler { value: 1 } } }
layer { name: "drop" type: "Dropout" bottom: "y" top: "y" dropout_param { dropout_ratio: 0.5 } }
layer { name: "sum" type: "Reduction" bottom: "y" top: "sum" loss_weight: 1 }"""


def test_backward_sees_the_mask_of_the_last_forward() -> None:
    net = caffe.Net("force_backward: true" + DROPPED, caffe.TRAIN)
    net.blobs["x"].data[...] = 1
    masks = []
    for _ in range(2):
        net.forward()
        kept = net.blobs["y"].data.copy()
        masks.append(kept)
        net.backward()
        np.testing.assert_array_equal(net.blobs["x"].diff, kept)
    assert (masks[0] != masks[1]).any()
    assert set(np.unique(masks[0])) == {0, 2}


def test_statistics_show_in_the_arrays() -> None:
    net = caffe.Net(
        """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 8 dim: 2 } } }
        layer { name: "bn" type: "BatchNorm" bottom: "x" top: "bn" }
        layer { name: "sum" type: "Reduction" bottom: "bn" top: "sum" loss_weight: 1 }""",
        caffe.TRAIN,
    )
    mean, factor = net.params["bn"][0].data, net.params["bn"][2].data
    net.blobs["x"].data[...] = [3, -1]
    net.forward()
    net.backward()
    np.testing.assert_allclose(mean, [3, -1])
    assert factor.tolist() == [1]
    factor[...] = 0
    mean[...] = 0
    net.forward()
    np.testing.assert_allclose(mean, [3, -1])


@pytest.mark.parametrize("hdf5", [False, True])
def test_save_and_copy_from(net: caffe.Net, tmp_path: Path, hdf5: bool) -> None:
    path = str(tmp_path / ("w.h5" if hdf5 else "w.caffemodel"))
    net.params["fc"][1].data[...] = [7, 8, 9]
    (net.save_hdf5 if hdf5 else net.save)(path)
    other = caffe.Net(TINY, path, caffe.TEST)
    for name, blobs in net.params.items():
        for mine, theirs in zip(other.params[name], blobs, strict=True):
            np.testing.assert_array_equal(mine.data, theirs.data)
    fresh = caffe.Net(TINY, caffe.TEST)
    held = fresh.params["fc"][1].data
    (fresh.load_hdf5 if hdf5 else fresh.copy_from)(path)
    assert held.tolist() == [7, 8, 9]


def test_share_with(net: caffe.Net, images: np.ndarray) -> None:
    train = caffe.Net(TINY.replace('name: "fc"', 'name: "other"'), caffe.TRAIN)
    train.share_with(net)
    net.params["conv"][0].data[...] = 0.25
    assert (train.params["conv"][0].data == 0.25).all()
    train.forward(data=images)
    net.forward(data=images)
    np.testing.assert_allclose(train.blobs["conv"].data, net.blobs["conv"].data)
    train.params["conv"][1].data[...] = 3
    net.forward()
    np.testing.assert_allclose(net.blobs["conv"].data, train.forward(blobs=["conv"])["conv"])
    assert (train.params["other"][0].data != net.params["fc"][0].data).any()
    with pytest.raises(WeightsError, match="'conv'"):
        net.share_with(caffe.Net(CONVOLUTIONAL.replace("kernel_size: 3", "kernel_size: 1"), caffe.TEST))


def test_reshape_keeps_the_memory_as_long_as_it_is_large_enough() -> None:
    net = caffe.Net(
        """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 2 } } }
           layer { name: "y" type: "Power" bottom: "x" top: "y" power_param { scale: 2 } }""",
        caffe.TEST,
    )
    blob = net.blobs["x"]
    blob.data[...] = np.arange(8).reshape(4, 2)
    blob.diff[...] = blob.data
    blob.reshape(2, 2)
    assert net.forward()["y"].tolist() == [[0, 2], [4, 6]]
    blob.reshape(4, 2)
    assert blob.data.ravel().tolist() == blob.diff.ravel().tolist() == list(range(8))
    assert net.forward()["y"].ravel().tolist() == list(range(0, 16, 2))
    blob.reshape(9)
    assert not blob.data.any()


def test_parameters_of_another_shape_hold_the_values_that_a_layer_uses() -> None:
    net = caffe.Net(
        """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 } } }
           layer { name: "y" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 2 } }""",
        caffe.TEST,
    )
    net.blobs["x"].data[...] = [[1, 10]]
    for shape in ((4, 1), (3, 2), (2, 2)):
        net.params["y"][0].reshape(*shape)
        net.params["y"][0].data.flat[:4] = range(4)
        assert net.forward()["y"].tolist() == [[10, 32]]


def test_legacy_sizes_of_a_blob(net: caffe.Net) -> None:
    blob = net.blobs["fc"]
    assert (blob.num, blob.channels, blob.height, blob.width, blob.count) == (2, 3, 1, 1, 6)
    assert tuple(net.blobs["data"].shape) == (2, 3, 6, 5)
    blob.reshape(1, 2, 3, 1, 1)
    for one in (blob, PythonBlob(1, 2, 3, 1, 1)):  # the net's, and those of a Python layer's setup
        with pytest.raises(ShapeError, match="at most 4 axes"):
            _ = one.num


def test_layers_by_number_and_name(net: caffe.Net) -> None:
    assert [layer.type for layer in net.layers][:3] == ["Input", "Convolution", "ReLU"]
    assert net.layer_dict["conv"].blobs[0] is net.params["conv"][0]
    assert list(net._layer_names)[-1] == "prob"
    assert net._blob_names == list(net.blobs)
    assert (net._bottom_ids(3), net._top_ids(3)) == ([1], [2])
    assert {"Convolution", "Split"} <= set(caffe.layer_type_list())


def test_callbacks_see_each_layer(net: caffe.Net) -> None:
    calls: list[tuple[str, int]] = []
    net.forward()
    plain = net.blobs["prob"].data.copy()
    net.before_forward(lambda layer: calls.append(("before", layer)))
    net.after_forward(lambda layer: calls.append(("after", layer)))
    net.after_backward(lambda layer: calls.append(("back", layer)))
    net.forward()
    np.testing.assert_allclose(net.blobs["prob"].data, plain, rtol=1e-6)
    assert calls == [(what, i) for i in range(6) for what in ("before", "after")]
    del calls[:]
    net.backward(start="fc")
    assert calls == [("back", i) for i in (4, 3, 2, 1, 0)]


def test_labels_have_no_gradient() -> None:
    net = caffe.Net(
        """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 3 } } }
        layer { name: "a" type: "InnerProduct" bottom: "x" top: "a" inner_product_param { num_output: 3 } }
        layer { name: "b" type: "InnerProduct" bottom: "x" top: "b" inner_product_param { num_output: 1 } }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "a" bottom: "b" top: "loss" }""",
        caffe.TEST,
    )
    net.forward()
    with pytest.raises(LayerError, match="'loss'.*cannot backpropagate to 'b'"):
        net.backward()
    net.backward(start="b")


def test_a_recurrent_state_is_carried_and_used_again_backward() -> None:
    text = """force_backward: true
        layer { name: "x" type: "Input" top: "x" top: "cont"
          input_param { shape { dim: 2 dim: 1 dim: 3 } shape { dim: 2 dim: 1 } } }
        layer { name: "rnn" type: "LSTM" bottom: "x" bottom: "cont" top: "h"
          recurrent_param { num_output: 4 weight_filler { type: "uniform" min: -1 max: 1 } } }"""
    net = caffe.Net(text, caffe.TEST)
    inputs = {"x": np.ones((2, 1, 3)), "cont": np.ones((2, 1))}
    first = net.forward(**inputs)["h"].copy()
    second = net.forward(**inputs)["h"].copy()
    assert (first != second).any()
    seed = np.ones((2, 1, 4))
    one = net.backward(h=seed)["x"].copy()
    np.testing.assert_allclose(net.backward(h=seed)["x"], one, rtol=1e-6)
    third = net.forward(**inputs)["h"]
    assert (third != second).any()


class Twice:
    """A layer as pycaffe knows it; it counts how often it runs."""

    runs = 0

    def setup(self, bottom, top) -> None:
        pass

    def reshape(self, bottom, top) -> None:
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top) -> None:
        Twice.runs += 1
        top[0].data[...] = 2 * bottom[0].data

    def backward(self, top, propagate_down, bottom) -> None:
        bottom[0].diff[...] = 10 * top[0].diff


def test_a_python_layer_runs_forward_once_and_its_own_backward() -> None:
    text = """force_backward: true
        layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 3 } } }
        layer { name: "p" type: "Python" bottom: "x" top: "y" python_param { module: "m" layer: "Twice" } }"""
    net = caffe.Net(text, caffe.TEST, python_layers={"m.Twice": Twice})
    Twice.runs = 0
    assert net.forward(x=np.array([1, 2, 3]))["y"].tolist() == [2, 4, 6]
    assert net.backward(y=np.array([1, 1, 2]))["x"].tolist() == [10, 10, 20]
    assert Twice.runs == 1


def test_errors_are_caffe_errors(tmp_path: Path) -> None:
    (tmp_path / "w.caffemodel").write_bytes(b"not a caffemodel")
    with pytest.raises(CaffeError, match="w.caffemodel: .* received a text file"):
        caffe.Net(TINY, str(tmp_path / "w.caffemodel"), caffe.TEST)
    with pytest.raises(CaffeError, match="bottom 'x' is not the top of any layer"):
        caffe.Net('layer { name: "a" type: "ReLU" bottom: "x" top: "y" }', caffe.TEST)
