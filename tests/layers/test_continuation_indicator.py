"""ContinuationIndicator: sequences that all begin with the batch."""

from __future__ import annotations

import numpy as np
import pytest

import keras_caffe
from keras_caffe import pycaffe as caffe
from keras_caffe.errors import LayerError
from keras_caffe.layers import ContinuationIndicator
from tests.layers.cases import Case
from tests.layers.layer_case import make, tops
from tests.nets import input_layer, layer, net_with

CASES = [
    Case(
        "ContinuationIndicator",
        ContinuationIndicator(3),
        [(None, 4)],
        net=net_with("ContinuationIndicator", (2, 4), param="continuation_indicator_param { time_step: 3 }"),
    ),
]

TYPE = 'type: "ContinuationIndicator" continuation_indicator_param { %s }'


def lstm(cont: str) -> str:
    param = 'recurrent_param { num_output: 4 weight_filler { type: "uniform" } }'
    return layer("h", "LSTM", f"x {cont}", "h", param)


INDICATED = input_layer("x", 3, 2, 5) + f'layer {{ name: "c" top: "c" {TYPE % "time_step: 3 batch_size: 2"} }}'


def test_zeros_first_then_ones() -> None:
    layer, _ = make(TYPE % "time_step: 3 batch_size: 2")
    np.testing.assert_array_equal(layer(np.zeros(1)), [[0, 0], [1, 1], [1, 1]])
    np.testing.assert_array_equal(make(TYPE % "time_step: 1 batch_size: 2")[0](np.zeros(1)), [[0, 0]])


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("param", "sequences"), [("", 2), ("axis: 1", 6), ("axis: -1", 5)])
def test_a_bottom_tells_how_many_sequences(param: str, sequences: int, data_format: str) -> None:
    shape, text = (2, 6, 4, 5), TYPE % f"time_step: 3 {param}"
    layer, orders = make(text, shape, data_format=data_format)
    x = np.ones(shape, "float32").transpose(orders[0])
    np.testing.assert_array_equal(layer(x), np.repeat([[0], [1], [1]], sequences, 1))
    assert tops(text, shape, data_format=data_format) == [(3, sequences)]


def test_the_number_may_be_open() -> None:
    layer = ContinuationIndicator(3, axis=1)
    assert layer.compute_output_shape((7, None)) == (3, None)
    assert ContinuationIndicator.from_config(layer.get_config()).axis == 1


def test_an_lstm_starts_anew_with_each_batch() -> None:
    """As if the indicator were fed, and the same for the second batch."""
    model = keras_caffe.load(INDICATED + lstm("c"))
    fed = keras_caffe.load(input_layer("x", 3, 2, 5) + input_layer("c", 3, 2) + lstm("c"))
    fed.set_caffe_params(model.get_caffe_params())
    x = np.random.default_rng(0).normal(size=(3, 2, 5)).astype("float32")
    want = fed({"x": x, "c": np.array([[0, 0], [1, 1], [1, 1]], "float32")})
    assert model.input_names == ["x"]
    for _ in range(2):
        np.testing.assert_array_equal(model(x), want)


def test_in_pycaffe_and_back() -> None:
    net = caffe.Net("force_backward: true " + INDICATED + lstm("c"), caffe.TEST)
    net.blobs["x"].data[...] = np.random.default_rng(0).normal(size=(3, 2, 5))
    net.forward()
    np.testing.assert_array_equal(net.blobs["c"].data, [[0, 0], [1, 1], [1, 1]])
    net.blobs["h"].diff[...] = 1
    net.backward()
    assert net.blobs["x"].diff.any()


@pytest.mark.parametrize(
    ("param", "bottoms", "reason"),
    [
        ("batch_size: 2", [], "time_step is missing"),
        ("time_step: 3", [], "batch_size is missing"),
        # One fork takes the bottom's size, another the bottom's values.
        ("time_step: 3 batch_size: 2", [(2, 5)], "sequences is given twice"),
        ("time_step: 3 axis: 2", [(2, 5)], "axis is out of range"),
        ("time_step: 3 batch_size: 2 flag: true", [], "flag makes sequences continue"),
    ],
)
def test_refused(param: str, bottoms: list[tuple[int, ...]], reason: str) -> None:
    with pytest.raises(LayerError, match=reason):
        make(TYPE % param, *bottoms)
