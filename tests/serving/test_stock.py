"""Every way out traces the stock path, also where native kernels are wanted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_caffe
from keras_caffe import samples
from keras_caffe.ops.stock import native_ops_allowed, stock_ops_only
from keras_caffe.serving import stock, to_tflite

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 3, 4, 4] } } }
layer { name: "mine" type: "Mine" bottom: "data" top: "y" }
"""

BLOB = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [2, 4, 6, 6] } } }'
PARAMS = {
    "LRN": "lrn_param { local_size: 3 }",
    "Pooling": "pooling_param { kernel_size: 3 stride: 2 pad: 1 pool: AVE }",
    "Convolution": "convolution_param { num_output: 4 kernel_size: 3 group: 4 }",
    "Deconvolution": "convolution_param { num_output: 4 kernel_size: 3 stride: 2 }",
    "PReLU": "",
    "BatchNorm": "",
}
NETS = {
    kind: f'{BLOB} layer {{ name: "y" type: "{kind}" bottom: "x" top: "y" {param} }}' for kind, param in PARAMS.items()
}


class Choosing(keras_caffe.layers.AbsVal):
    """Asks as a kernel does; what it computes tells the answer."""

    def call(self, inputs: Any) -> Any:
        if native_ops_allowed():
            return tf.ensure_shape(tf.numpy_function(lambda x: 100 + x, [inputs], tf.float32), inputs.shape)
        return keras.ops.abs(inputs)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> keras_caffe.CaffeModel:
    """A net whose layer took its native path when it was built and called."""
    monkeypatch.setenv("KERAS_CAFFE_NATIVE", "1")
    made = keras_caffe.load(NET, custom_layers={"Mine": Choosing}, data_format="channels_last")
    np.testing.assert_array_equal(made(np.ones((1, 4, 4, 3))), np.full((1, 4, 4, 3), 101))
    return made


def test_savedmodel(model: Any, tmp_path: Path) -> None:
    served = tf.saved_model.load(str(keras_caffe.export(model, tmp_path))).signatures["serving_default"]
    np.testing.assert_array_equal(served(data=-tf.ones((1, 4, 4, 3)))["y"], np.ones((1, 4, 4, 3)))
    assert native_ops_allowed()


@pytest.mark.filterwarnings("ignore:.*LiteRT|.*tf.lite")
def test_tflite(model: Any, tmp_path: Path) -> None:
    interpreter = tf.lite.Interpreter(str(to_tflite(model, tmp_path / "net.tflite")))
    found = interpreter.get_signature_runner()(data=-np.ones((1, 4, 4, 3), "float32"))
    np.testing.assert_array_equal(found["y"], np.ones((1, 4, 4, 3)))


@pytest.mark.parametrize("native", ["0", "1", "auto"])
@pytest.mark.parametrize("fold", [True, False])
def test_the_shipped_net_holds_stock_ops_only(
    native: str, fold: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the net has run, and so been traced, with the kernels that the switch chooses."""
    monkeypatch.setenv("KERAS_CAFFE_NATIVE", native)
    net = keras_caffe.load(samples.path("lenet.prototxt"), samples.path("lenet.caffemodel"))
    net.predict(np.zeros((1, *net.input_shape[1:]), "float32"), verbose=0)
    written = tf.saved_model.load(str(keras_caffe.export(net, tmp_path, fold=fold)))
    for function in written.signatures.values():
        found = {node.op for _, node in stock.operations(function.graph.as_graph_def())}
        assert found and all(hasattr(tf.raw_ops, op) for op in found)


@pytest.mark.parametrize("kind", ["LRN", "Pooling", "Convolution", "Deconvolution", "PReLU", "BatchNorm"])
def test_layers_that_may_have_kernels(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trace with the native path that came before does not stay."""
    monkeypatch.setenv("KERAS_CAFFE_NATIVE", "1")
    net = keras_caffe.load(NETS[kind])

    def traced() -> Any:
        specs = {tensor.name: tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in net.inputs}
        run = tf.function(lambda inputs: net(inputs, training=False), autograph=False)
        return run.get_concrete_function(specs)

    traced()
    with stock_ops_only():
        stock.check_functions([traced()])
