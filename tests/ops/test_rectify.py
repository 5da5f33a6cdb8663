"""NaN goes through compiled rectifiers, whatever TensorFlow's graph optimizer puts them together with."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import keras_caffe
from keras_caffe import pycaffe

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 1 dim: 6 dim: 6 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "relu" type: "RELU" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip" inner_product_param { num_output: 3 } }
layer { name: "relu2" type: "RELU" bottom: "ip" top: "ip" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


def losses(kind: str) -> dict[str, float]:
    """The loss by each way of running the net, its convolution's weights being NaN."""
    net = NET.replace("RELU", kind)
    model = keras_caffe.load(net)
    weights, bias = model.get_caffe_params()["conv"]
    model.set_caffe_params({"conv": [np.full_like(weights, np.nan), bias]})
    fed = {"data": np.ones((2, 6, 6, 1), "float32"), "label": np.zeros(2, "float32")}
    caffe_net = pycaffe.Net(net, pycaffe.TEST)
    caffe_net.params["conv"][0].data[...] = np.nan
    caffe_net.blobs["data"].data[...], caffe_net.blobs["label"].data[...] = 1, 0
    return {
        "eager": float(model(fed)),
        "predict": float(model.predict(fed, verbose=0)),
        "pycaffe": float(caffe_net.forward()["loss"]),
    }


@pytest.mark.parametrize("onednn", ["0", "1"])
def test_a_net_with_nan_weights_has_a_nan_loss(onednn: str) -> None:
    """In processes of their own, since TensorFlow chooses its kernels when it is loaded."""
    code = f"from {__name__} import losses; print([losses(kind) for kind in ('ReLU', 'ReLU6')])"
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": onednn}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    ways = "{'eager': nan, 'predict': nan, 'pycaffe': nan}"
    assert run.stdout.strip().splitlines()[-1] == f"[{ways}, {ways}]"
