"""Python layers: values and gradients against Caffe, what the class sees, and that files import nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_caffe.converters.load import load
from keras_caffe.errors import CaffeWarning, LayerError, ShapeError, UnknownLayerError
from tests.layers.cases import Case
from tests.nets import input_layer, layer

CASES = [
    Case(
        "Python",
        reason="its class is no part of a file",
        values="the class decides; pycaffe's own examples in tests/layers/test_python.py",
    ),
]

GOLDENS = Path(__file__).parent.parent / "goldens" / "data"


class SquareLoss:
    """k sum (a - b)^2 / N."""

    def setup(self, bottom: Any, top: Any) -> None:
        self.k = float(self.param_str or 1)
        if len(bottom) != 2:
            raise ValueError("two bottoms needed")

    def reshape(self, bottom: Any, top: Any) -> None:
        if bottom[0].count != bottom[1].count:
            raise ValueError("counts differ")
        top[0].reshape(1)

    def forward(self, bottom: Any, top: Any) -> None:
        self.d = bottom[0].data - bottom[1].data
        top[0].data[...] = self.k * (self.d**2).sum() / bottom[0].num

    def backward(self, top: Any, propagate_down: Any, bottom: Any) -> None:
        for i, sign in enumerate((1, -1)):
            if propagate_down[i]:
                bottom[i].diff[...] = top[0].diff[0] * sign * 2 * self.k * self.d / bottom[i].num


class Affine:
    """w x with the learnable number w."""

    def setup(self, bottom: Any, top: Any) -> None:
        self.blobs.add_blob(1)
        self.blobs[0].data[0] = float(self.param_str)

    def reshape(self, bottom: Any, top: Any) -> None:
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom: Any, top: Any) -> None:
        top[0].data[...] = self.blobs[0].data[0] * bottom[0].data

    def backward(self, top: Any, propagate_down: Any, bottom: Any) -> None:
        self.blobs[0].diff[0] += (top[0].diff * bottom[0].data).sum()
        if propagate_down[0]:
            bottom[0].diff[...] = self.blobs[0].data[0] * top[0].diff


class RampData:
    """No bottoms: a ramp that moves, labels that turn, in batches that may grow."""

    def setup(self, bottom: Any, top: Any) -> None:
        settings = json.loads(self.param_str)
        self.batch, self.dim, self.passes = settings["batch"], settings["dim"], 0
        self.step, self.grow = settings.get("step", 1.0), settings.get("grow", 0)

    def reshape(self, bottom: Any, top: Any) -> None:
        size = self.batch + self.grow * self.passes
        top[0].reshape(size, self.dim)
        top[1].reshape(size)

    def forward(self, bottom: Any, top: Any) -> None:
        ramp = np.arange(top[0].count).reshape(top[0].shape) * 0.01
        top[0].data[...] = ramp + self.passes * self.step
        top[1].data[...] = (np.arange(top[1].count) + self.passes) % 3
        self.passes += 1


class Sink(Affine):
    """Gives nothing."""

    def reshape(self, bottom: Any, top: Any) -> None:
        assert not top


class Seen(Affine):
    """Tells what it sees; changes its blob in forward."""

    def reshape(self, bottom: Any, top: Any) -> None:
        top[0].reshape(7)

    def forward(self, bottom: Any, top: Any) -> None:
        x = bottom[0]
        top[0].data[...] = [x.num, x.channels, x.height, x.width, x.count, self.phase, self.blobs[0].data[0]]
        self.blobs[0].data[0] += 1


CLASSES = {f"layers.{cls.__name__}": cls for cls in (SquareLoss, Affine, RampData, Seen, Sink)}


def given(net: str, **kwargs: Any) -> Any:
    return load(net, python_layers=CLASSES, **kwargs)


def python(name: str, cls: str, bottoms: str, param_str: str = "", more: str = "", module: str = "layers") -> str:
    param = f"""python_param {{ module: "{module}" layer: "{cls}" param_str: '{param_str}' }}"""
    return layer(name, "Python", bottoms, name, f"{more} {param}")


def test_matches_caffe() -> None:
    golden = np.load(GOLDENS / "python_loss.npz")
    text = json.loads(str(golden["meta"]))["prototxt"]
    classes = {f"golden_pylayer.{cls.__name__}": cls for cls in (SquareLoss, Affine)}
    model = load(text, phase="TRAIN", python_layers=classes)
    params = {
        name: [golden[k] for k in sorted(golden.files) if k.startswith(f"param/{name}/")] for name in ("aff", "ip")
    }
    model.set_caffe_params(params)
    inputs = {name: tf.constant(golden[f"in/{name}"]) for name in ("data", "target")}
    blobs = model.extract(["aff", "pred", "loss"])
    rows = {f"{name}/{i}": row for name in params for i, row in enumerate(model.caffe_layers[name].caffe_blobs)}
    variables = {name: variable.value for name, (_, variable) in rows.items()}

    def step(inputs: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            values = blobs(inputs)
        return values, tape.gradient(values["loss"], {**inputs, **variables})

    for run in (step, tf.function(step)):
        values, diffs = run(inputs)
        for name, value in values.items():
            np.testing.assert_allclose(value, golden[f"f0/{name}"], rtol=1e-5, atol=1e-6)
        for name in inputs:
            np.testing.assert_allclose(diffs[name], golden[f"diff/{name}"], rtol=1e-4, atol=1e-5)
        for name in variables:
            diff = rows[name][0].to_caffe(diffs[name].numpy())
            np.testing.assert_allclose(diff, golden[f"pdiff/{name}"], rtol=1e-4, atol=1e-5)


def test_the_batch_stays_open() -> None:
    model = given(input_layer("a", 4, 3) + input_layer("b", 4, 3) + python("loss", "SquareLoss", "a b"))
    assert model.inputs[0].shape == (None, 3)
    for size in (1, 6):
        got = model({"a": np.ones((size, 3)), "b": np.zeros((size, 3))})
        np.testing.assert_allclose(got, [3])


def test_what_the_class_sees() -> None:
    model = given(input_layer("x", 2, 3, 4, 5) + python("y", "Seen", "x", "10"), phase="TEST")
    x = np.zeros((2, 4, 5, 3))
    np.testing.assert_array_equal(model(x), [2, 3, 4, 5, 120, 1, 10])
    np.testing.assert_array_equal(tf.function(model)(tf.zeros((2, 4, 5, 3)))[-1], 11)
    np.testing.assert_array_equal(model.get_caffe_params()["y"][0], [12])


def test_a_gradient_belongs_to_its_own_forward_pass() -> None:
    model = given(input_layer("a", 2, 1) + input_layer("b", 2, 1) + python("loss", "SquareLoss", "a b"))
    zero, a, other = tf.zeros((2, 1)), tf.Variable([[1.0], [2.0]]), tf.constant([[5.0], [7.0]])
    with tf.GradientTape() as tape:
        loss = model({"a": a, "b": zero})
    model({"a": other, "b": zero})
    np.testing.assert_allclose(tape.gradient(loss, a), [[1], [2]])


def test_propagate_down() -> None:
    model = given(
        input_layer("a", 2, 1)
        + input_layer("b", 2, 1)
        + python("loss", "SquareLoss", "a b", more="propagate_down: true propagate_down: false")
    )
    inputs = {"a": tf.ones((2, 1)), "b": tf.zeros((2, 1))}
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        loss = model(inputs)
    diffs = tape.gradient(loss, inputs, unconnected_gradients="zero")
    np.testing.assert_array_equal(diffs["b"], np.zeros((2, 1)))
    np.testing.assert_array_equal(diffs["a"], np.ones((2, 1)))


def test_trains() -> None:
    model = given(input_layer("x", 4, 3) + python("y", "Affine", "x", "0.5"))
    model.compile(keras.optimizers.SGD(0.05), "mse")
    x = np.random.default_rng(0).standard_normal((32, 3)).astype("float32")
    model.fit(x, 3 * x, epochs=30, verbose=0)
    np.testing.assert_allclose(model.get_caffe_params()["y"][0], [3], rtol=0.05)


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("case", ["python_data", "python_data_grow"])
def test_without_bottoms(case: str, graph: bool) -> None:
    golden = np.load(GOLDENS / f"{case}.npz")
    meta = json.loads(str(golden["meta"]))
    model = load(meta["prototxt"], phase=meta["phase"], python_layers={"golden_pylayer.RampData": RampData})
    tops = model.extract([key[3:] for key in golden.files if key.startswith("f0/")])
    run = tf.function(lambda: tops({})) if graph else lambda: tops({})
    for i in range(meta["forwards"]):
        for name, value in run().items():
            np.testing.assert_allclose(value, golden[f"f{i}/{name}"], rtol=1e-5, atol=1e-6)


def test_without_bottoms_and_class_it_is_an_input() -> None:
    net = python("data", "Unknown", "") + 'layer { name: "r" type: "ReLU" bottom: "data" top: "y" }'
    model = load(net, input_shapes={"data": (2, 3)})
    np.testing.assert_array_equal(model(-np.ones((2, 3))), np.zeros((2, 3)))
    with pytest.raises(ShapeError, match=r"python_layers=\{'layers.Unknown'.*input_shapes="):
        load(net)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras 3.15 on NumPy 2
def test_survives_saving(tmp_path: Path) -> None:
    model = given(input_layer("x", 4, 3) + python("y", "Affine", "x", "0.5"))
    model.set_caffe_params({"y": [np.array([7.0])]})
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras", custom_objects=CLASSES)
    np.testing.assert_array_equal(again(np.ones((4, 3))), np.full((4, 3), 7))
    with pytest.raises(UnknownLayerError, match="layers.Affine"):
        keras.models.load_model(tmp_path / "m.keras")


def test_files_import_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "imported_by_name.py").write_text("from tests.layers.test_python import Affine\n")
    monkeypatch.syspath_prepend(tmp_path)
    net = input_layer("x", 4, 3) + python("y", "Affine", "x", "0.5", module="imported_by_name")
    with pytest.raises(UnknownLayerError, match=r"'imported_by_name.Affine'.*python_layers=") as caught:
        load(net)
    assert "'y' (Python)" in str(caught.value)
    assert "imported_by_name" not in sys.modules
    np.testing.assert_allclose(load(net, allow_python_imports=True)(np.ones((4, 3))), np.full((4, 3), 0.5))
    for name, other in (("imported_by_name", "no_such_module"), ("Affine", "Nope")):
        with pytest.raises(UnknownLayerError, match=other):
            load(net.replace(name, other), allow_python_imports=True)


def test_a_class_given_under_a_name_that_is_like_the_files_is_pointed_out() -> None:
    net = input_layer("x", 4, 3) + python("y", "Affine", "x", "0.5", module="layers")
    with pytest.raises(UnknownLayerError) as caught:
        load(net, python_layers={"layers.affine": Affine, "other": Affine})
    assert str(caught.value).endswith(
        "no class for the Python layer 'layers.Affine'. python_layers has 'layers.affine'. Pass "
        "python_layers={'layers.Affine': ...} with the class. Pass allow_python_imports=True to import the module, if "
        "you trust the file."
    )


def test_refusals() -> None:
    with pytest.raises(LayerError, match='python_param names no class; expected module: "..." layer: "..."'):
        load(input_layer("x", 4, 3) + layer("y", "Python", "x", "y"))
    with pytest.raises(LayerError, match="setup of SquareLoss fails: ValueError: two bottoms needed"):
        given(input_layer("a", 2, 3) + python("loss", "SquareLoss", "a"))
    with pytest.raises(LayerError, match="counts differ"):
        given(input_layer("a", 2, 3) + input_layer("b", 2, 4) + python("loss", "SquareLoss", "a b"))
    with pytest.warns(CaffeWarning, match="no tops"):
        given(input_layer("a", 2, 3) + python("l", "Sink", "a", "1").replace('top: "l"', ""))
