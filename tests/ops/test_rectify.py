"""NaN goes through compiled rectifiers, whatever TensorFlow's graph optimizer puts them together with."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import keras_caffe
from keras_caffe import pycaffe
from keras_caffe.errors import SolverError
from keras_caffe.serving import to_tflite

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 1 dim: 6 dim: 6 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "relu" type: "RELU" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip" inner_product_param { num_output: 3 } }
layer { name: "relu2" type: "RELU" bottom: "ip" top: "ip" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


FED = {"data": np.ones((2, 6, 6, 1), "float32"), "label": np.zeros(2, "float32")}


def losses(kind: str) -> dict[str, Any]:
    """The loss by each way of running the net, its convolution's weights being NaN."""
    net = NET.replace("RELU", kind)
    model = keras_caffe.load(net)
    spoil(model)
    caffe_net = pycaffe.Net(net, pycaffe.TEST)
    caffe_net.params["conv"][0].data[...] = np.nan
    caffe_net.blobs["data"].data[...], caffe_net.blobs["label"].data[...] = 1, 0
    found = {
        "eager": float(model(FED)),
        "predict": float(model.predict(FED, verbose=0)),
        "pycaffe": float(caffe_net.forward()["loss"]),
        **exported(model),
        **trained(net),
    }
    model.compile(optimizer="sgd")
    return {**found, "fit": model.fit(FED, batch_size=2, verbose=0).history["loss"][0]}


def spoil(model: Any) -> None:
    weights, bias = model.get_caffe_params()["conv"]
    model.set_caffe_params({"conv": [np.full_like(weights, np.nan), bias]})


def exported(model: Any) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        served = tf.saved_model.load(str(keras_caffe.export(model, folder))).signatures["serving_default"]
        lite = tf.lite.Interpreter(str(to_tflite(model, Path(folder, "net.tflite")))).get_signature_runner()
        of_one = {name: x[:1] for name, x in FED.items()}
        tensors = {name: tf.constant(x) for name, x in FED.items()}
        return {"SavedModel": float(served(**tensors)["loss"]), "TFLite": float(lite(**of_one)["loss"])}


def trained(net: str) -> dict[str, float]:
    """The loss that each solver refuses."""
    definition = f'net_param {{ {net} }} base_lr: 0.1 lr_policy: "fixed" max_iter: 3 snapshot_after_train: false'
    solver = keras_caffe.load_solver(definition, train_data=itertools.repeat(FED))
    spoil(solver.model)
    scripted = pycaffe.SGDSolver(definition)
    scripted.net.params["conv"][0].data[...] = np.nan
    ways = {"step": lambda: solver.step(1), "Solver.fit": solver.fit, "pycaffe step": lambda: scripted.step(1)}
    return {name: refused(way) for name, way in ways.items()}


def refused(way: Callable[[], Any]) -> float:
    with pytest.raises(SolverError, match="the loss is nan in iteration 0"):
        way()
    return math.nan


@pytest.mark.parametrize("onednn", ["0", "1"])
def test_a_net_with_nan_weights_has_a_nan_loss(onednn: str) -> None:
    """In processes of their own, since TensorFlow chooses its kernels when it is loaded."""
    code = f"from {__name__} import losses; print([losses(kind) for kind in ('ReLU', 'ReLU6', 'ELU')])"
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": onednn}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    for found in eval(run.stdout.strip().splitlines()[-1], {"nan": math.nan}):
        assert len(found) == 9 and all(map(math.isnan, found.values())), found
