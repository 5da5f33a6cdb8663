"""Nets loaded with open sizes, in every form of export; their warm-up, and what a Caffe file says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_caffe
from keras_caffe.cli import main
from keras_caffe.converters.sample_shapes import sample_shapes
from keras_caffe.errors import CaffeWarning, ShapeError
from keras_caffe.serving import to_tflite, warmup
from tests.nets import layer
from tests.onnx_cases import needs_onnx

SHARED = (
    layer("data", "Input", tops="data")
    + layer("conv", "Convolution", "data", "conv",
            'convolution_param { num_output: 4 kernel_size: 3 stride: 2 weight_filler { type: "xavier" } }')
    + layer("norm", "BatchNorm", "conv", "conv")
    + layer("pool", "Pooling", "conv", "pool", "pooling_param { kernel_size: 3 stride: 2 }")
)  # fmt: skip
MAP = SHARED + layer("relu", "ReLU", "pool", "out")
SCORES = (
    SHARED
    + layer("all", "Pooling", "pool", "all", "pooling_param { pool: AVE global_pooling: true }")
    + layer(
        "out", "InnerProduct", "all", "out", 'inner_product_param { num_output: 3 weight_filler { type: "xavier" } }'
    )
)
SMALLEST = 8  # smaller powers of 2 leave no window of pool

OPEN = [
    (MAP, (1, 3, None, None), "channels_last"),
    (MAP, (2, 3, None, 24), "channels_first"),
    (SCORES, (None, 3, None, None), "channels_first"),
    (SCORES, (None, 3, 16, 24), "channels_last"),
]
opened = pytest.mark.parametrize(("net", "shape", "data_format"), OPEN)


def loaded(net: str, shape: tuple[int | None, ...], data_format: str) -> tuple[Any, np.ndarray, np.ndarray]:
    """The model, two pictures, and what it makes of them."""
    model = keras_caffe.load(net, input_shapes={"data": shape}, data_format=data_format)
    x = np.random.default_rng(0).standard_normal((2, 3, 16, 24)).astype("float32")
    x = x if data_format == "channels_first" else x.transpose(0, 2, 3, 1)
    return model, x, np.asarray(model(x))


def as_large(found: Any, want: np.ndarray) -> None:
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-5 * np.abs(want).max())


@opened
@pytest.mark.parametrize("dynamic", [True, False])
def test_saved_model(net: str, shape: Any, data_format: str, dynamic: bool, tmp_path: Path) -> None:
    model, x, want = loaded(net, shape, data_format)
    path = keras_caffe.export(model, tmp_path, dynamic=dynamic)
    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    as_large(serve(data=tf.constant(x))["out"], want)
    ((_, request),) = warmup.read(path / warmup.FILE)
    sizes = [3, shape[2] or SMALLEST, shape[3] or SMALLEST]
    sizes = sizes if data_format == "channels_first" else [*sizes[1:], sizes[0]]
    assert request["data"].shape == (1, *sizes)
    assert serve(data=tf.constant(request["data"]))["out"].shape[0] == 1


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
@opened
def test_other_files(net: str, shape: Any, data_format: str, tmp_path: Path) -> None:
    model, x, want = loaded(net, shape, data_format)
    lite = tf.lite.Interpreter(str(to_tflite(model, tmp_path / "net.tflite"))).get_signature_runner()
    as_large(lite(data=x[:1])["out"], want[:1])
    model.save(tmp_path / "net.keras")
    as_large(keras.saving.load_model(tmp_path / "net.keras")(x), want)


@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
def test_pictures_keep_their_size(data_format: str, tmp_path: Path) -> None:
    model = keras_caffe.load(MAP, input_shapes={"data": (1, 3, None, None)}, data_format=data_format)
    picture = np.random.default_rng(1).integers(0, 256, (16, 24, 3), "uint8")
    x = picture[None, :, :, ::-1].astype("float32")
    want = np.asarray(model(x if data_format == "channels_last" else x.transpose(0, 3, 1, 2)))
    for number, (kind, fed) in enumerate((("tensor", picture[None].astype("float32")),
                                          ("image_bytes", np.array([tf.io.encode_png(picture).numpy()])))):  # fmt: skip
        path = keras_caffe.export(model, tmp_path / str(number), inputs=kind, preprocessing={})
        serve = tf.saved_model.load(str(path)).signatures["serving_default"]
        name = "data" if kind == "tensor" else kind
        as_large(serve(**{name: tf.constant(fed)})["out"], want)
        ((_, request),) = warmup.read(path / warmup.FILE)
        assert serve(**{name: tf.constant(request[name])})["out"].shape[0] == 1


@pytest.mark.parametrize("kind", ["savedmodel", "tflite"])
def test_the_command(kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.prototxt").write_text(MAP)
    model = keras_caffe.load(MAP, input_shapes={"data": (1, 3, 16, 16)})
    keras_caffe.save(model, caffemodel=tmp_path / "net.caffemodel")
    files = [str(tmp_path / name) for name in ("net.prototxt", "net.caffemodel", "out")]
    given = ["--input-shape", "data=1,3,?,?", "--format", kind]
    assert main(["export", *files[:2], "-o", files[2], *given]) == 0
    assert "largest difference from the Keras model" in capfd.readouterr().out


def test_a_caffe_file_states_the_smallest_sizes(tmp_path: Path) -> None:
    model, _, _ = loaded(MAP, (None, 3, None, 24), "channels_last")
    with pytest.warns(CaffeWarning, match=r"input 'data' open: \(None, 3, None, 24\) is written as \(1, 3, 8, 24\)"):
        keras_caffe.save(model, tmp_path / "net.prototxt")
    again = keras_caffe.load(tmp_path / "net.prototxt")
    assert again.caffe_shapes["data"] == (1, 3, SMALLEST, 24)
    assert 0 not in again.caffe_shapes["out"]


def test_no_size_suits() -> None:
    fixed = layer("data", "Input", tops="data") + layer(
        "crop", "Slice", "data", "a b", "slice_param { slice_point: 9999 }"
    )
    model = keras_caffe.load(fixed, input_shapes={"data": (1, None)})
    with pytest.raises(ShapeError, match="no size up to 2048 suits the open ones"):
        sample_shapes(model.plan)


DROPS = """
input: "data" input_dim: 2 input_dim: 3 input_dim: 2 input_dim: 5
layer { name: "out" type: "NdConvolution" bottom: "data" top: "out" convolution_param {
  num_output: 4 kernel_shape { dim: 2 dim: 2 } weight_filler { type: "xavier" } } }
"""


@needs_onnx
def test_sizes_stay_fixed_where_an_axis_would_come_back(tmp_path: Path) -> None:
    """NdConvolution drops its top's axes of size 1, which it cannot where a size is open."""
    model = keras_caffe.load(DROPS)
    want = np.asarray(model(np.ones((2, 2, 5, 3), "float32")))
    path = keras_caffe.export(model, tmp_path, tolerance=1e-4)
    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    as_large(serve(data=tf.ones((2, 2, 5, 3)))["out"], want)
    with pytest.warns(CaffeWarning, match="height and width stay as they are declared"):
        keras_caffe.to_onnx(model, tmp_path / "net.onnx", dynamic=True, tolerance=1e-4)
