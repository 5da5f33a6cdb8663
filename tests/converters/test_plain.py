"""Plain Keras models written as Caffe files, read again, and compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as kl

import keras_caffe
from keras_caffe.errors import NetError


def randomized(model: keras.Model) -> keras.Model:
    random = np.random.default_rng(0)
    for variable in model.variables:
        values = random.normal(size=variable.shape) * 0.5
        variable.assign(np.abs(values) + 0.3 if "variance" in variable.path else values)
    return model


def written(model: keras.Model, folder: Path, suffix: str = ".caffemodel") -> keras_caffe.CaffeModel:
    keras_caffe.save(model, folder / "net.prototxt", folder / f"net{suffix}")
    return keras_caffe.load(folder / "net.prototxt", folder / f"net{suffix}", data_format="channels_last")


def same(model: keras.Model, folder: Path, suffix: str = ".caffemodel") -> keras_caffe.CaffeModel:
    """The Caffe net gives the Keras model's outputs for several batches at once."""
    net = written(randomized(model), folder, suffix)
    random = np.random.default_rng(1)
    inputs = [random.normal(size=(3, *tensor.shape[1:])).astype("float32") for tensor in model.inputs]
    want = keras.tree.flatten(model(inputs if len(inputs) > 1 else inputs[0]))
    found = net(dict(zip([t.name for t in model.inputs], inputs, strict=True)))
    found = list(found.values()) if isinstance(found, dict) else [found]
    assert len(found) == len(want)
    for one, other in zip(found, want, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    return net


def chain(*layers: Any, shape: tuple[int, ...] = (9, 8, 4)) -> keras.Model:
    return keras.Sequential([keras.Input(shape, name="data"), *layers])


CONVOLUTIONS: dict[str, Any] = {
    "valid": lambda: kl.Conv2D(5, 3),
    "same": lambda: kl.Conv2D(5, 3, padding="same", activation="relu"),
    "same_even": lambda: kl.Conv2D(5, (2, 4), padding="same"),
    "same_strides": lambda: kl.Conv2D(5, (3, 5), strides=2, padding="same"),
    "same_stride_3": lambda: kl.Conv2D(5, 4, strides=3, padding="same", use_bias=False),
    "strides": lambda: kl.Conv2D(5, (3, 2), strides=(2, 3)),
    "dilation": lambda: kl.Conv2D(5, 3, dilation_rate=2, padding="same"),
    "groups": lambda: kl.Conv2D(6, 3, groups=2),
    "depthwise": lambda: kl.DepthwiseConv2D(3, depth_multiplier=2, padding="same"),
    "depthwise_strides": lambda: kl.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False),
    "separable": lambda: kl.SeparableConv2D(6, 3, depth_multiplier=2, padding="same"),
    "transpose": lambda: kl.Conv2DTranspose(5, 3, strides=2),
    "transpose_same": lambda: kl.Conv2DTranspose(5, 4, strides=2, padding="same"),
    "transpose_odd": lambda: kl.Conv2DTranspose(5, (3, 5), strides=2, padding="same", use_bias=False),
    "padding": lambda: kl.ZeroPadding2D(((0, 1), (3, 2))),
    "up": lambda: kl.UpSampling2D((2, 3)),
    "dense": lambda: kl.Dense(5, activation="tanh"),
    "max": lambda: kl.MaxPooling2D(2),
    "max_overlapping": lambda: kl.MaxPooling2D(3, strides=2),
    "max_same": lambda: kl.MaxPooling2D(3, strides=2, padding="same"),
    "max_same_even": lambda: kl.MaxPooling2D((2, 4), strides=(2, 3), padding="same"),
    "max_same_apart": lambda: kl.MaxPooling2D(1, strides=2, padding="same"),
    "average": lambda: kl.AveragePooling2D((3, 2), strides=2),
    "average_same": lambda: kl.AveragePooling2D(2, padding="same"),
    "global_average": lambda: kl.GlobalAveragePooling2D(),
    "global_max": lambda: kl.GlobalMaxPooling2D(keepdims=True),
    "norm": lambda: kl.BatchNormalization(epsilon=0.01),
    "norm_bare": lambda: kl.BatchNormalization(scale=False, center=False),
    "norm_scale": lambda: kl.BatchNormalization(center=False),
    "norm_center": lambda: kl.BatchNormalization(scale=False),
    "dropout": lambda: kl.Dropout(0.4),
    "rescaling": lambda: kl.Rescaling(1 / 127.5, -1),
    "identity": lambda: kl.Identity(),
    "relu": lambda: kl.ReLU(),
    "relu6": lambda: kl.ReLU(6.0),
    "leaky": lambda: kl.LeakyReLU(negative_slope=0.1),
    "elu": lambda: kl.ELU(0.7),
    "prelu": lambda: kl.PReLU(shared_axes=[1, 2]),
    "softmax": lambda: kl.Softmax(),
    "softmax_rows": lambda: kl.Softmax(axis=1),
    **{
        name: lambda name=name: kl.Activation(name)
        for name in ("sigmoid", "tanh", "softplus", "silu", "exponential", "elu", "relu6", "leaky_relu", "softmax")
    },
}


@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_layers(tmp_path: Path, kind: str) -> None:
    same(chain(CONVOLUTIONS[kind]()), tmp_path)


@pytest.mark.parametrize("kind", ["valid", "same_even", "norm", "max_same", "prelu"])
def test_a_dense_after_flatten(tmp_path: Path, kind: str) -> None:
    same(chain(CONVOLUTIONS[kind](), kl.Flatten(), kl.Dense(6, activation="softmax")), tmp_path)


def test_what_stands_between_flatten_and_dense(tmp_path: Path) -> None:
    data = keras.Input((3, 4, 5), name="data")
    flat = kl.Flatten()(kl.ReLU()(data))
    flat = kl.PReLU()(kl.BatchNormalization()(kl.Dropout(0.5)(flat)))
    both = kl.Concatenate()([kl.Dense(7)(flat), flat, kl.GlobalAveragePooling2D()(data)])
    same(keras.Model(data, kl.Dense(3)(kl.Add()([both, both]))), tmp_path)


def test_channels_first(tmp_path: Path) -> None:
    """TensorFlow computes these on a GPU only; the weights are the same numbers."""
    first, last = (
        keras.Sequential(
            [
                keras.Input((4, 9, 8) if order == "channels_first" else (9, 8, 4), name="data"),
                kl.MaxPooling2D(2, data_format=order),
                kl.BatchNormalization(axis=1 if order == "channels_first" else -1),
                kl.Flatten(data_format=order),
                kl.Dense(3),
            ],
            name="net",
        )
        for order in ("channels_first", "channels_last")
    )
    for one, other in zip(randomized(first).variables, randomized(last).variables, strict=True):
        np.testing.assert_array_equal(one, other)
    nets = [written(model, tmp_path) for model in (first, last)]
    data = np.random.default_rng(1).normal(size=(2, 9, 8, 4)).astype("float32")
    np.testing.assert_allclose(*(net(data) for net in nets), rtol=1e-6)
    np.testing.assert_allclose(nets[0](data), last(data), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("merge", [kl.Add, kl.Subtract, kl.Multiply, kl.Maximum, kl.Average, kl.Concatenate])
def test_merging(tmp_path: Path, merge: Callable[[], Any]) -> None:
    one, other = keras.Input((5, 6, 3), name="one"), keras.Input((5, 6, 3), name="other")
    same(keras.Model([one, other], merge()([kl.Conv2D(3, 1)(one), other])), tmp_path)


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_concatenation_along_each_axis(tmp_path: Path, axis: int) -> None:
    one, other = keras.Input((5, 6, 3), name="one"), keras.Input((5, 6, 3), name="other")
    same(keras.Model([one, other], kl.Concatenate(axis)([one, other, one])), tmp_path)


def test_squeeze_and_excitation(tmp_path: Path) -> None:
    data = keras.Input((5, 6, 4), name="data")
    squeezed = kl.Reshape((1, 1, 4))(kl.GlobalAveragePooling2D()(data))
    excited = kl.Conv2D(4, 1, activation="sigmoid")(kl.Conv2D(2, 1, activation="silu")(squeezed))
    same(keras.Model(data, kl.Multiply()([data, excited])), tmp_path)


@pytest.mark.parametrize("suffix", [".caffemodel", ".caffemodel.h5"])
def test_layers_that_are_called_twice_share(tmp_path: Path, suffix: str) -> None:
    one, other = keras.Input((6,), name="one"), keras.Input((6,), name="other")
    embed = keras.Sequential([keras.Input((6,)), kl.Dense(5, activation="relu"), kl.Dense(4)], name="embed")
    net = same(keras.Model([one, other], kl.Subtract()([embed(one), embed(other)])), tmp_path, suffix)
    assert len(net.caffe_layers) == 7
    assert len(net.trainable_variables) == 4


def test_models_in_models_and_several_outputs(tmp_path: Path) -> None:
    data = keras.Input((8, 8, 3), name="data")
    image = keras.Input((8, 8, 3))
    inner = keras.Model(image, kl.ReLU()(kl.Conv2D(4, 3)(image)), name="inner")
    block = keras.Sequential([keras.Input((8, 8, 3)), inner, kl.Flatten()], name="block")
    features = block(data)
    net = same(keras.Model(data, [kl.Dense(3, name="a")(features), kl.Dense(2, name="b")(features)]), tmp_path)
    assert set(net.output) == {"a", "b"}


def test_a_mobilenet(tmp_path: Path) -> None:
    same(keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, weights=None, classes=5), tmp_path)


def test_whole_files_are_written(tmp_path: Path) -> None:
    model = randomized(chain(kl.Conv2D(2, 3), kl.Flatten(), kl.Dense(2)))
    keras_caffe.save(model, caffemodel=tmp_path / "net.caffemodel")
    keras_caffe.save(model, tmp_path / "net.prototxt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.caffemodel", "net.prototxt"]
    assert keras_caffe.load(tmp_path / "net.caffemodel", tmp_path / "net.caffemodel").count_params()


@keras.saving.register_keras_serializable("tests")
class Dense(kl.Dense):
    """Named as a layer that is known, but another one."""


def relu(x: Any) -> Any:
    """Named as a function that is known, but another one."""
    return keras.ops.clip(x, 0, 1)


REFUSED: dict[str, tuple[Any, str]] = {
    "own_function": (lambda: kl.Dense(3, activation=relu), "not Keras's own"),
    "unknown": (lambda: kl.GaussianNoise(0.1), "no such layer"),
    "own_class": (lambda: Dense(3), "no such layer"),
    "activation": (lambda: kl.Dense(3, activation="gelu"), "gelu"),
    "max_same": (lambda: kl.MaxPooling2D(2, strides=1, padding="same"), "number of windows"),
    "imported": (lambda: keras_caffe.layers.ReLU(), "is Caffe's own"),
    "average_same": (lambda: kl.AveragePooling2D(3, padding="same", strides=1), "average"),
    "norm_axis": (lambda: kl.BatchNormalization(axis=1), "another axis"),
    "dilated_even": (lambda: kl.Conv2D(3, 2, dilation_rate=3, padding="same"), "dilation"),
    "up": (lambda: kl.UpSampling2D(interpolation="bilinear"), "bilinear"),
    "flat": (lambda: kl.Flatten(), "channels last"),
    "slopes": (lambda: kl.PReLU(), "one for each channel"),
    "reshape": (lambda: kl.Reshape((8, 9, 4)), "another order"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_caffe_does_not_have_is_refused(tmp_path: Path, kind: str) -> None:
    make, problem = REFUSED[kind]
    with pytest.raises(NetError, match=problem):
        keras_caffe.save(chain(make()), tmp_path / "net.prototxt", tmp_path / "net.caffemodel")
    assert not list(tmp_path.iterdir())


def test_operators_with_numbers_are_power_layers(tmp_path: Path) -> None:
    data = keras.Input((4, 5, 3), name="data")
    net = same(keras.Model(data, (1.0 - (data - 104.0) * 0.017) / 3 + keras.ops.add(data, data) * data), tmp_path)
    assert [node.type for node in net.net.nodes].count("Power") == 4


@pytest.mark.parametrize(
    ("call", "problem"),
    {
        "array": (lambda x: x - np.ones(3, "float32"), "array of shape"),
        "inverse": (lambda x: 1 / x, "division"),
        "maximum": (lambda x: keras.ops.maximum(x, 0.5), "of 0.5"),
        "average": (lambda x: keras.ops.average(x, axis=2), "no value of the net"),
        "reshape": (lambda x: keras.ops.reshape(x, (-1, 60)), "no such layer"),
        "training": (lambda x: kl.Dropout(0.5)(x, training=True), "training=True"),
    }.values(),
)
def test_operations_that_caffe_does_not_have_are_refused(call: Callable[[Any], Any], problem: str) -> None:
    data = keras.Input((4, 5, 3), name="data")
    with pytest.raises(NetError, match=problem):
        keras_caffe.save(keras.Model(data, call(data)), "net.prototxt")


def test_quantised_layers_are_refused() -> None:
    """Their kernels are codes, which were written as weights."""
    model = keras.Sequential([keras.Input((4,)), kl.Dense(3)])
    model.layers[0].quantize("int8")
    with pytest.raises(NetError, match="quantised to int8"):
        keras_caffe.save(model, "net.prototxt")


def test_all_that_is_refused_is_listed() -> None:
    with pytest.raises(NetError, match=r"3 layers.*'one' \(GaussianNoise\).*'two' \(LSTM\).*'three' \(Dense\)"):
        keras_caffe.save(
            keras.Sequential(
                [
                    keras.Input((4, 5), name="data"),
                    kl.GaussianNoise(0.1, name="one"),
                    kl.LSTM(3, name="two"),
                    kl.Dense(2, activation="mish", name="three"),
                ]
            ),
            "net.prototxt",
        )


@pytest.mark.parametrize(
    "model", [lambda: keras.Sequential([kl.Dense(3)]), lambda: "net", lambda: chain(kl.ReLU(), shape=(None, None, 3))]
)
def test_models_that_are_not_built(model: Callable[[], Any], tmp_path: Path) -> None:
    with pytest.raises(NetError, match="built|not known"):
        keras_caffe.save(model(), tmp_path / "net.prototxt")
