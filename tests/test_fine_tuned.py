"""Models of the recipe in docs/training.md, a trained trunk with a new head, through every door."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_caffe
from keras_caffe import samples
from keras_caffe.errors import ExportError, NetError
from tests.onnx_cases import needs_onnx, run

FILES = [str(samples.path(name)) for name in ("lenet.prototxt", "lenet.caffemodel")]


def tuned(data_format: str, cut: str = "ip1") -> Any:
    trunk = keras_caffe.load(*FILES, data_format=data_format).extract([cut])
    features = trunk(trunk.input)[cut]
    if cut == "pool2":
        features = keras.layers.Conv2D(4, 3, activation="relu", data_format=data_format, name="more")(features)
        features = keras.layers.GlobalAveragePooling2D(data_format=data_format)(features)
    return keras.Model(trunk.input, keras.layers.Dense(3, activation="softmax", name="head")(features))


@pytest.fixture(params=["channels_last", "channels_first"])
def data_format(request: pytest.FixtureRequest) -> str:
    return request.param


def digits(data_format: str) -> np.ndarray:
    pixels, _ = samples.digits()
    x = (np.asarray(pixels[:4]) * samples.SCALE).astype("float32")
    return x.reshape((4, 28, 28, 1) if data_format == "channels_last" else (4, 1, 28, 28))


@pytest.mark.parametrize(  # Keras's own Conv2D computes channels first on a GPU only.
    ("data_format", "cut"),
    [(order, cut) for order in ("channels_last", "channels_first") for cut in ("ip1", "conv1")]
    + [("channels_last", "pool2")],
)
def test_saved_as_caffe_files_it_is_the_same(data_format: str, cut: str, tmp_path: Path) -> None:
    if cut == "conv1":
        trunk = keras_caffe.load(*FILES, data_format=data_format).extract([cut])
        model: Any = keras.Model(trunk.input, keras.layers.ReLU()(trunk(trunk.input)[cut]))
    else:
        model = tuned(data_format, cut)
    keras_caffe.save(model, tmp_path / "net.prototxt", tmp_path / "net.caffemodel")
    again = keras_caffe.load(tmp_path / "net.prototxt", tmp_path / "net.caffemodel", data_format=data_format)
    assert {"conv1"} <= set(again.caffe_layers)
    x = digits(data_format)
    np.testing.assert_allclose(np.asarray(again(x)), np.asarray(model(x)), rtol=1e-4, atol=1e-6)


def test_exported_it_is_the_same(data_format: str, tmp_path: Path) -> None:
    model, x = tuned(data_format), digits(data_format)
    serve = tf.saved_model.load(str(keras_caffe.export(model, tmp_path, tolerance=1e-4))).signatures["serving_default"]
    (found,) = serve(data=tf.constant(x)).values()
    np.testing.assert_allclose(found, np.asarray(model(x)), rtol=1e-4, atol=1e-6)


@needs_onnx
def test_in_onnx_it_is_the_same_without_tf2onnx(data_format: str, tmp_path: Path) -> None:
    model, x = tuned(data_format), digits("channels_first")
    file = keras_caffe.to_onnx(model, tmp_path / "net.onnx", tolerance=1e-4)
    (found,) = run(file, {"data": x}, [_output(file)])
    np.testing.assert_allclose(found, np.asarray(model(digits(data_format))), rtol=1e-4, atol=1e-6)


@needs_onnx
def test_outputs_that_other_layers_read_are_outputs_everywhere(tmp_path: Path) -> None:
    data = keras.Input((6,), name="data")
    hidden = keras.layers.Dense(5, activation="tanh", name="hidden")(data)
    model = keras.Model(data, [hidden, keras.layers.Dense(3, name="logits")(hidden)])
    x = np.random.default_rng(0).standard_normal((2, 6)).astype("float32")
    wanted = dict(zip(["hidden_tanh", "logits"], model.predict_on_batch(x), strict=True))
    served = tf.saved_model.load(str(keras_caffe.export(model, tmp_path / "served", tolerance=1e-4)))
    file = keras_caffe.to_onnx(model, tmp_path / "net.onnx", tolerance=1e-4)
    found = [
        keras_caffe.engine(model, "tensorflow", cache=False)(x),
        served.signatures["serving_default"](data=tf.constant(x)),
        dict(zip(wanted, run(file, {"data": x}, list(wanted)), strict=True)),
    ]
    for outputs in found:
        assert set(outputs) == set(wanted)
        for name, values in wanted.items():
            np.testing.assert_allclose(outputs[name], values, rtol=1e-4, atol=1e-5)


def _output(file: Path) -> str:
    import onnx

    return onnx.load(str(file)).graph.output[0].name


def test_what_stands_in_the_way_is_listed(tmp_path: Path) -> None:
    trunk = keras_caffe.load(*FILES).extract(["ip1"])
    head = keras.layers.Dense(2)(keras.layers.GaussianNoise(0.1, name="noise")(trunk(trunk.input)["ip1"]))
    with pytest.raises(NetError, match=r"1 layer cannot be expressed in Caffe: 'noise' \(GaussianNoise\)"):
        keras_caffe.export(keras.Model(trunk.input, head), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_part_of_a_net_is_written_by_itself(tmp_path: Path, data_format: str) -> None:
    part, files = (
        keras_caffe.load(*FILES, data_format=data_format).extract(["pool2"]),
        [tmp_path / "n", tmp_path / "n.caffemodel"],
    )
    keras_caffe.save(part, *files)
    again = keras_caffe.load(*files, data_format=data_format)
    assert list(again.blobs) == ["data", "conv1", "pool1", "conv2", "pool2"]
    np.testing.assert_array_equal(again(digits(data_format)), part(digits(data_format))["pool2"])


def test_keras_clones_no_caffe_model() -> None:
    """Its layers would share no parameters, and all of them would learn."""
    model = keras_caffe.load(*FILES)
    with pytest.raises(NetError, match=r"clone_model.*Call model.from_config\(model.get_config\(\)\)"):
        keras.models.clone_model(model)
    second = keras_caffe.CaffeModel.from_config(model.get_config())
    second.set_weights(model.get_weights())
    np.testing.assert_array_equal(second(digits("channels_last")), model(digits("channels_last")))


@pytest.mark.filterwarnings("ignore:.*does not have a `quantize` method")  # Keras, of its own layers
def test_keras_quantises_no_caffe_layers() -> None:
    """It would go over them without a word."""
    model = keras_caffe.load(*FILES)
    for one in (model, model.extract(["ip1"]), tuned("channels_last")):
        with pytest.raises(ExportError, match="(conv1|ip1).*does not quantise Caffe layers.*to_tflite"):
            one.quantize("int8")


def test_keras_own_export_of_onnx_says_what_to_call(tmp_path: Path) -> None:
    model = keras_caffe.load(*FILES)
    for one in (model, model.extract(["ip1"])):
        with pytest.raises(ExportError, match="keras_caffe.to_onnx"):
            one.export(str(tmp_path / "net.onnx"), format="onnx")
    assert not list(tmp_path.iterdir())
