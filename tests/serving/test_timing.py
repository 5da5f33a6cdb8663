"""time: every layer is timed, with a gradient where it has one."""

from __future__ import annotations

import pytest

import keras_caffe
from keras_caffe import samples
from keras_caffe.cli import main
from keras_caffe.serving import layer_times, whole_times

TRAIN = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [2, 3, 5, 5] } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 4 } }
layer { name: "best" type: "ArgMax" bottom: "ip" top: "best" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


def test_every_layer_in_order() -> None:
    model = keras_caffe.load(TRAIN, phase="TRAIN")
    times = list(layer_times(model, runs=2))
    assert [(time.layer, time.type) for time in times] == [
        ("ip", "InnerProduct"),
        ("best", "ArgMax"),
        ("loss", "SoftmaxWithLoss"),
    ]
    assert all(time.forward > 0 for time in times)
    assert [time.backward is None for time in times] == [False, True, False]
    forward, backward = whole_times(model, runs=2)
    assert forward > 0 and backward is not None


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["time", str(samples.path("lenet.prototxt")), "--iterations", "1"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    layers = ["conv1", "pool1", "conv2", "pool2", "ip1", "relu1", "ip2", "prob"]
    assert [line[0] for line in lines[2:]] == [*layers, "sum", "the"]
    assert all(float(line[2]) > 0 for line in lines[2:10])
