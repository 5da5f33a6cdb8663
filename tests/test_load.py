"""`keras_caffe.load` and what a CaffeModel can do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_caffe
from keras_caffe import pycaffe, samples
from keras_caffe.errors import CaffeError, CaffeWarning, NetError, ReadError, ShapeError, WeightsError
from tests.nets import layer, net_with
from tests.shared_goldens import ROOT

NET = """
name: "tiny"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 6 } } }
layer { name: "conv/1" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "bn" }
layer { name: "fc" type: "InnerProduct" bottom: "bn" top: "fc"
  inner_product_param { num_output: 5 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, 8, 6, 3)).astype("float32")


def test_lenet_classifies_digits_as_caffe_did() -> None:
    model = keras_caffe.load(samples.path("lenet.prototxt"), samples.path("lenet.caffemodel"))
    digits, labels = samples.digits()
    scores = model.predict(np.moveaxis(digits, 1, -1) * np.float32(0.00390625), verbose=0)
    assert (scores.argmax(-1) == labels).mean() > 0.95
    assert model.load_report.kept == []


def test_inputs_by_tensor_dict_and_list(images) -> None:
    model = keras_caffe.load(NET)
    expected = np.asarray(model(images))
    for given in ({"data": images}, [images]):
        np.testing.assert_array_equal(np.asarray(model(given)), expected)
    np.testing.assert_array_equal(model.predict({"data": images}, verbose=0), model.predict(images, verbose=0))


def test_blobs_hold_the_last_write_and_keep_the_first(images) -> None:
    model = keras_caffe.load(NET)
    assert list(model.blobs) == ["data", "conv", "bn", "fc", "prob"]
    blobs = model.extract(["conv", "conv@conv/1"])(images)
    raw = np.asarray(blobs["conv@conv/1"])
    assert (raw < 0).any()
    np.testing.assert_array_equal(np.asarray(blobs["conv"]), np.maximum(raw, 0))


def test_blobs_in_one_memory_hold_one_write() -> None:
    """Reshape and Flatten share the memory of x: what works in place on the one overwrites x and the other."""
    readers = layer("r", "Reshape", "x0", "r", "reshape_param { shape { dim: -1 } }") + layer("f", "Flatten", "x0", "f")
    text = net_with("AbsVal", (2, 3, 4, 5)) + readers + layer("twice", "Power", "r", "r", "power_param { scale: 2 }")
    model, x = keras_caffe.load(text, data_format="channels_first"), np.ones((2, 3, 4, 5), "float32")
    found = model.extract(["x0", "f", "r", "y"])(x)
    assert {name: set(np.ravel(blob)) for name, blob in found.items()} == {"x0": {2}, "f": {2}, "r": {2}, "y": {1}}
    assert [found[name].shape for name in ("x0", "f", "r")] == [x.shape, (2, 60), (120,)]


VIEWS = {
    "Reshape": "reshape_param { shape { dim: -1 } }",
    "Flatten": "",
    "Permute": "permute_param { order: 0 order: 1 }",
    "Concat": "",
    "Slice": "",
}


@pytest.mark.parametrize("kind", VIEWS)
def test_a_layer_that_reads_what_caffe_has_overwritten_gets_a_warning(kind: str) -> None:
    """It computes what the net says, and so does what is seen of it later, in pycaffe too."""
    readers = layer(kind, kind, "x0", "r", VIEWS[kind]) + layer("f", "Flatten", "x0", "f")
    twice = layer("twice", "Power", "r", "r", "power_param { scale: 2 }")
    late = layer("late", "Flatten", "x0", "g") + layer("sum", "Reduction", "f", "s")
    text, x = net_with("AbsVal", (2, 3, 4, 5)) + readers + twice + late, np.ones((2, 3, 4, 5), "float32")
    with pytest.warns(CaffeWarning, match="overwritten") as warned:
        model = keras_caffe.load(text, data_format="channels_first")
    said = [str(warning.message).partition(";")[0] for warning in warned]
    where = "where layer 'twice' (Power) has overwritten it in place"
    assert said == [
        f"layer 'late' (Flatten): Caffe reads 'x0' {where}",
        f"layer 'sum' (Reduction): Caffe reads 'f' {where}",
    ]
    with pytest.warns(CaffeWarning, match="overwritten"):
        net = pycaffe.Net(text, pycaffe.TEST)
    net.blobs["x0"].data[...] = 1
    net.forward()
    found = {name: np.unique(blob).tolist() for name, blob in model.extract(list(model.blobs))(x).items()}
    assert found == {"x0": [2], "f": [2], "r": [2], "y": [1], "g": [1], "s": [120]}
    assert {name: np.unique(net.blobs[name].data).tolist() for name in found} == found


@pytest.mark.parametrize("kind", ["Split", "Flatten"])
def test_outputs_are_what_caffe_has_in_their_memory(kind: str) -> None:
    """An in-place layer on another blob of the same memory shows in an output, which no layer reads."""
    more = "" if kind == "Split" else VIEWS[kind]
    shared = layer("shared", kind, "x0", "a", more) + layer("other", kind, "x0", "b", more)
    text = net_with("AbsVal", (2, 3, 4, 5)) + shared + layer("twice", "Power", "b", "b", "power_param { scale: 2 }")
    model, x = keras_caffe.load(text, data_format="channels_first"), np.ones((2, 3, 4, 5), "float32")
    net = pycaffe.Net(text, pycaffe.TEST)
    net.blobs["x0"].data[...] = 1
    wanted = {name: (blob.shape, np.unique(blob).tolist()) for name, blob in net.forward().items()}
    assert {values[0] for name, (_, values) in wanted.items() if name in "ab"} == {2}
    for found in (model(x), model.predict(x, verbose=0), model.extract(list(wanted))(x)):
        assert {name: (tuple(blob.shape), np.unique(blob).tolist()) for name, blob in found.items()} == wanted


def test_extract_refuses_unknown_blobs() -> None:
    with pytest.raises(NetError, match="no blob 'nope'"):
        keras_caffe.load(NET).extract(["nope"])


def test_channels_first_is_caffes_order_at_every_edge(images) -> None:
    last, first = keras_caffe.load(NET), keras_caffe.load(NET, data_format="channels_first")
    first.set_caffe_params(last.get_caffe_params())
    assert first.input.shape == (None, 3, 8, 6)
    assert first.blobs["conv"].shape == (None, 4, 8, 6)
    theirs = np.moveaxis(images, -1, 1)
    np.testing.assert_allclose(np.asarray(first(theirs)), np.asarray(last(images)), rtol=1e-6)
    conv = np.asarray(first.extract("conv")(theirs)["conv"])
    np.testing.assert_array_equal(conv, np.moveaxis(np.asarray(last.extract("conv")(images)["conv"]), -1, 1))


def test_any_batch_size(images) -> None:
    model = keras_caffe.load(NET)
    assert model.caffe_shapes["conv"] == (2, 4, 8, 6)
    assert model(np.concatenate([images] * 3)).shape == (6, 5)


def test_open_height_and_width() -> None:
    text = NET[: NET.index('layer { name: "fc"')]
    model = keras_caffe.load(text, input_shapes={"data": (None, 3, None, None)})
    assert model(np.zeros((1, 5, 9, 3), "float32")).shape == (1, 5, 9, 4)


def test_caffe_params_round_trip() -> None:
    model = keras_caffe.load(NET)
    params = model.get_caffe_params()
    assert {name: [a.shape for a in arrays] for name, arrays in params.items()} == {
        "conv/1": [(4, 3, 3, 3), (4,)],
        "bn": [(4,), (4,), (1,)],
        "fc": [(5, 192), (5,)],
    }
    other = keras_caffe.load(NET)
    other.set_caffe_params(params)
    for name, arrays in other.get_caffe_params().items():
        for got, want in zip(arrays, params[name], strict=True):
            np.testing.assert_array_equal(got, want)


def test_set_caffe_params_sets_all_or_nothing() -> None:
    model = keras_caffe.load(NET)
    before = model.get_caffe_params()
    wrong = {"conv/1": before["conv/1"], "fc": [np.zeros((5, 191)), np.zeros(5)]}
    wrong["conv/1"][0] = wrong["conv/1"][0] + 1
    with pytest.raises(WeightsError, match="(5, 192)"):
        model.set_caffe_params(wrong)
    assert (model.get_caffe_params()["conv/1"][0] != wrong["conv/1"][0]).all()
    with pytest.raises(
        WeightsError,
        match="layer 'relu2': the net has no layer with blobs of this name; expected one of conv/1, bn, fc;",
    ):
        model.set_caffe_params({"relu2": []})


def test_layers_and_params_are_in_the_nets_order() -> None:
    model = keras_caffe.load(NET)
    assert list(model.caffe_layers) == ["conv/1", "relu", "bn", "fc", "prob"]
    assert list(model.get_caffe_params()) == ["conv/1", "bn", "fc"]


def test_load_weights_takes_caffes_files_too(tmp_path: Path) -> None:
    model, other = keras_caffe.load(NET), keras_caffe.load(NET)
    for name in ("w.caffemodel", "w.caffemodel.h5"):
        keras_caffe.save(model, caffemodel=tmp_path / name)
        other.set_caffe_params({"fc": [np.zeros((5, 192)), np.zeros(5)]})
        other.load_weights(tmp_path / name)
        np.testing.assert_array_equal(other.get_caffe_params()["fc"][0], model.get_caffe_params()["fc"][0])


def test_arguments_that_say_nothing() -> None:
    with pytest.raises(NetError, match="input_shapes is not a dictionary; expected .*; received .1, 3, 8, 6"):
        keras_caffe.load(NET, input_shapes=(1, 3, 8, 6))
    with pytest.raises(
        NetError, match="neither prototxt nor caffemodel is given; expected prototxt=, caffemodel=, or both"
    ):
        keras_caffe.save(keras_caffe.load(NET))


@pytest.mark.parametrize(("argument", "name"), [("prototxt", "net.caffemodel"), ("caffemodel", "net.prototxt")])
def test_files_are_not_written_under_the_ending_of_the_other_kind(argument: str, name: str, tmp_path: Path) -> None:
    model = keras_caffe.load('input: "x" input_dim: [1, 2, 1, 1] layer { name: "r" type: "ReLU" bottom: "x" top: "y" }')
    with pytest.raises(NetError, match=rf"{argument} names a file of the other kind; received .*{name}"):
        keras_caffe.save(model, **{argument: tmp_path / name})
    assert not (tmp_path / name).exists()


SCRIPT = """
import sys, numpy as np, keras, keras_caffe
model = keras.models.load_model(sys.argv[1])
x = np.load(sys.argv[2])
np.save(sys.argv[3], np.asarray(model(x)))
if hasattr(model, "blobs"):
    assert list(model.blobs) == ["data", "conv", "bn", "fc", "prob"]
    assert model.data_format == "channels_last"
"""


@pytest.mark.parametrize("what", ["model", "extract", "weights"])
def test_saved_models_load_in_a_fresh_process(what: str, images, tmp_path: Path) -> None:
    model = keras_caffe.load(NET)
    part = model if what != "extract" else keras.Model(model.input, model.blobs["fc"])
    expected = np.asarray(part(images))
    np.save(tmp_path / "x.npy", images)
    if what == "weights":
        model.save_weights(tmp_path / "w.weights.h5")
        part = keras_caffe.load(NET)
        part.load_weights(tmp_path / "w.weights.h5")
    part.save(tmp_path / "m.keras")
    files = [tmp_path / name for name in ("m.keras", "x.npy", "y.npy")]
    subprocess.run([sys.executable, "-c", SCRIPT, *map(str, files)], check=True, cwd=ROOT, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, rtol=1e-6, atol=1e-7)


def test_fine_tuning_a_new_head_lowers_the_loss() -> None:
    model = keras_caffe.load(samples.path("lenet.prototxt"), samples.path("lenet.caffemodel"))
    digits, labels = samples.digits()
    x, y = np.moveaxis(digits, 1, -1)[:200] * np.float32(0.00390625), labels[:200] % 2
    head = keras.layers.Dense(2, activation="softmax", name="odd")(model.blobs["ip1"])
    tuned = keras.Model(model.input, head)
    tuned.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"])
    losses = tuned.fit(x, y, epochs=3, batch_size=20, verbose=0).history["loss"]
    assert losses[-1] < 0.7 * losses[0]


def test_layers_may_have_the_names_of_inputs_and_of_each_other() -> None:
    same = NET.replace('name: "relu"', 'name: "data"').replace('name: "prob"', 'name: "fc"')
    assert keras_caffe.load(same).output.shape == (None, 5)


def test_mixed_precision(images) -> None:
    frozen = NET.replace('top: "fc"', 'top: "fc" param { lr_mult: 0 }')
    model = keras_caffe.load(frozen, dtype="mixed_bfloat16")
    assert model.caffe_layers["conv/1"].kernel.dtype == "float32"
    assert keras.backend.standardize_dtype(model(images).dtype) == "bfloat16"


def test_lr_mult_0_is_not_trained() -> None:
    frozen = NET.replace('top: "fc"', 'top: "fc" param { lr_mult: 0 } param { lr_mult: 0 }')
    names = [v.path for v in keras_caffe.load(frozen).trainable_variables]
    assert names == ["conv_1/kernel", "conv_1/bias"]


def test_skip_mismatch_reports(tmp_path: Path) -> None:
    text = samples.path("lenet.prototxt").read_text().replace("num_output: 10", "num_output: 7")
    weights = samples.path("lenet.caffemodel")
    with pytest.raises(WeightsError, match=r"'ip2'.*\(7, 500\).*\(10, 500\)"):
        keras_caffe.load(text, weights)
    with pytest.warns(CaffeWarning, match="skipped ip2"):
        model = keras_caffe.load(text, weights, skip_mismatch=True)
    assert list(model.load_report.skipped) == ["ip2"]
    assert model.load_report.kept == ["ip2"]
    assert model.load_report.loaded == ["conv1", "conv2", "ip1"]


def test_weights_of_another_net_are_said_aloud() -> None:
    with pytest.warns(CaffeWarning, match="no layer of this net is in it"):
        keras_caffe.load(NET, samples.path("lenet.caffemodel"))


@pytest.mark.parametrize(
    ("given", "kind", "match"),
    [
        ("no_such.prototxt", ReadError, "no_such.prototxt"),
        (NET.replace("num_output: 4", "num_output: 2000000000"), CaffeError, "larger|over 2 GB"),
        (NET.replace('bottom: "bn"', 'bottom: "bm"'), NetError, "'bm'"),
        (NET.replace('"Softmax"', '"Sofmax"'), CaffeError, "did you mean Softmax"),
        (NET.replace("dim: 2 dim: 3 dim: 8 dim: 6", "dim: 2 dim: 3 dim: 8 dim: -6"), ShapeError, "negative"),
    ],
)
def test_bad_nets_are_refused_before_memory_is_taken(given: str, kind: type, match: str) -> None:
    with pytest.raises(kind, match=match):
        keras_caffe.load(given)


def test_wrong_input_shape_says_what_to_do() -> None:
    model = keras_caffe.load(NET)
    with pytest.raises(ShapeError, match="input_shapes"):
        model(np.zeros((1, 8, 7, 3), "float32"))
    with pytest.raises(NetError, match="no value for input 'data'"):
        model({"image": np.zeros((1, 8, 6, 3), "float32")})


def test_input_shapes_must_name_inputs() -> None:
    with pytest.raises(NetError, match="'dta'.*data"):
        keras_caffe.load(NET, input_shapes={"dta": (1, 3, 8, 6)})


@pytest.fixture
def little_recursion() -> Iterator[int]:
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(400)
    yield 400
    sys.setrecursionlimit(usual)


def test_a_net_may_be_deeper_than_pythons_recursion(little_recursion: int) -> None:
    power = 'layer {{ name: "power{0}" type: "Power" bottom: "b{0}" top: "b{1}" power_param {{ shift: 1 }} }}'
    layers = "".join(power.format(i, i + 1) for i in range(little_recursion))
    net = 'layer { name: "in" type: "Input" top: "b0" input_param { shape { dim: 1 dim: 2 } } }' + layers
    model = keras_caffe.load(net)
    assert np.array_equal(model(np.zeros((1, 2), "float32")), [[400, 400]])
    assert np.array_equal(model.extract(["b390"])(np.ones((1, 2), "float32"))["b390"], [[391, 391]])


def test_a_blob_that_is_overwritten_in_another_shape_needs_known_sizes() -> None:
    text = net_with("Flatten", (2, 3, 4, 5)) + layer("twice", "Power", "y", "y", "power_param { scale: 2 }")
    x, shapes = np.ones((2, 4, 5, 3), "float32"), {"x0": (None, 3, None, None)}
    assert set(np.ravel(keras_caffe.load(text).extract(["x0"])(x)["x0"])) == {2}
    with pytest.raises(NetError, match="a later layer overwrites blob 'x0' in another shape"):
        keras_caffe.load(text, input_shapes=shapes).extract(["x0"])
