"""LSTM and RNN beyond the goldens: carried state, loops, dynamic sizes, refusals."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_caffe.converters.load import load
from keras_caffe.errors import CaffeError, LayerError, NetError, ShapeError
from keras_caffe.layers import LSTM, RNN, LSTMUnit
from keras_caffe.ops import recurrent
from tests.layers.cases import Case
from tests.nets import input_layer, layer

CASES = [
    Case("LSTM", LSTM(3, expose_hidden=True), [(None, 2, 5), (None, 2), (1, 2, 3), (1, 2, 3)]),
    Case("LSTMUnit", LSTMUnit(), [(1, None, 3), (1, None, 12), (1, None)]),
    Case("RNN", RNN(3, expose_hidden=True), [(None, 2, 5), (None, 2), (1, 2, 3)]),
]

FILLER = {"type": "uniform", "min": -0.5, "max": 0.5, "seed": 3}


def make(cls: type, time: int | None = 5, **kwargs: Any) -> Any:
    layer = cls(4, weight_filler=FILLER, bias_filler=FILLER, **kwargs)
    shapes = [(time, 2, 3), (time, 2)] + [(1, 2, 4)] * (layer.states if layer.expose_hidden else 0)
    layer.build(shapes)
    return layer


def bottoms(time: int = 5, seed: int = 0) -> list[Any]:
    random = np.random.default_rng(seed)
    x = random.standard_normal((time, 2, 3)).astype("float32")
    return [tf.constant(x), tf.constant((random.random((time, 2)) > 0.3).astype("float32"))]


@pytest.mark.parametrize("cls", [LSTM, RNN])
def test_two_passes_are_one_long_pass(cls: type) -> None:
    layer = make(cls)
    x, cont = bottoms(10)
    whole = layer([x, cont])
    layer.reset_state()
    halves = [layer([x[:5], cont[:5]]), tf.function(layer)([x[5:], cont[5:]])]
    np.testing.assert_allclose(tf.concat(halves, 0), whole, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("cls", [LSTM, RNN])
def test_no_gradient_flows_into_the_pass_before_or_to_cont(cls: type) -> None:
    layer = make(cls)
    x, cont = bottoms()
    with tf.GradientTape() as tape:
        tape.watch([x, cont])
        layer([x, cont])
        total = tf.reduce_sum(layer([tf.zeros_like(x), tf.ones_like(cont)]))
    assert tape.gradient(total, [x, cont]) == [None, None]


def forward_backward(layer: Any, inputs: list[Any]) -> list[Any]:
    layer.reset_state()
    with tf.GradientTape() as tape:
        tape.watch(inputs[0])
        top = layer(inputs)
        total = tf.reduce_sum(top * top)
    return [top, *tape.gradient(total, [inputs[0], *(v.value for v in layer.trainable_variables)])]


@pytest.mark.parametrize("cls", [LSTM, RNN])
def test_a_loop_equals_unrolled_steps(cls: type, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, inputs = make(cls), bottoms()
    want = forward_backward(layer, inputs)
    monkeypatch.setattr(recurrent, "UNROLL", 0)
    for a, b in zip(forward_backward(layer, inputs), want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cls", [LSTM, RNN])
def test_the_portable_loop_equals_unrolled_steps(cls: type, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, inputs = make(cls), bottoms()
    want = layer(inputs)
    layer.reset_state()
    monkeypatch.setattr(recurrent, "UNROLL", 0)
    monkeypatch.setattr(keras.backend, "backend", lambda: "another one")
    np.testing.assert_allclose(layer(inputs), want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cls", [LSTM, RNN])
def test_any_number_of_time_steps(cls: type) -> None:
    layer = make(cls, time=None)
    assert layer.compute_output_shape([(None, 2, 3), (None, 2)]) == (None, 2, 4)
    run = tf.function(layer, input_signature=[[tf.TensorSpec((None, 2, 3)), tf.TensorSpec((None, 2))]])
    for time in (1, 7, 40):
        layer.reset_state()
        got = run(bottoms(time))
        layer.reset_state()
        np.testing.assert_allclose(got, layer(bottoms(time)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cls", [LSTM, RNN])
@pytest.mark.parametrize("known", [0, 1])
def test_one_bottom_may_tell_the_number_of_time_steps(cls: type, known: int) -> None:
    """As where x comes from another layer and cont is an input with an open first axis."""
    layer, both = make(cls, 1, expose_hidden=True), bottoms(1)
    state = [tf.zeros((1, 2, 4))] * layer.states
    specs = [tf.TensorSpec((1 if i == known else None, *x.shape[1:])) for i, x in enumerate(both)]
    graph = tf.function(lambda x, cont: layer([x, cont, *state])[0], input_signature=specs)
    np.testing.assert_allclose(graph(*both), layer([*both, *state])[0], rtol=1e-6)


@pytest.mark.parametrize("cls", [LSTM, RNN])
def test_exposed_states_leave_the_number_of_streams_open(cls: type) -> None:
    layer = make(cls, expose_hidden=True)
    first = [tf.random.stateless_normal((1, 2, 4), (1, i)) for i in range(layer.states)]
    tops = layer([*bottoms(), *first])
    assert [tuple(t.shape) for t in tops] == [(5, 2, 4)] + [(1, 2, 4)] * layer.states
    assert layer.top_shapes((5, None, 3), (5, None), *[(1, None, 4)] * layer.states)[0] == (5, None, 4)
    doubled = layer([tf.concat([t, t], 1) for t in (*bottoms(), *first)])
    np.testing.assert_allclose(doubled[1][:, 2:], tops[1], rtol=1e-6)
    assert not layer.non_trainable_variables


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras 3.15 on NumPy 2
@pytest.mark.parametrize("cls", [LSTM, RNN])
def test_survives_saving(cls: type, tmp_path: Any) -> None:
    x, cont = keras.Input(batch_shape=(5, 2, 3)), keras.Input(batch_shape=(5, 2))
    model = keras.Model([x, cont], cls(4, weight_filler=FILLER)([x, cont]))
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again(bottoms()), model(bottoms()))


@pytest.mark.parametrize(
    ("streams", "more", "param", "error", "match"),
    [
        (2, 'top: "h"', "", LayerError, "num_output"),
        (1, 'top: "h"', "num_output: 2", ShapeError, "bottom 1 does not fit"),
        (2, 'top: "h" top: "c"', "num_output: 2", NetError, "number of tops"),
        (2, 'top: "h"', "num_output: 2 expose_hidden: true", NetError, "number of bottoms"),
        (2, 'bottom: "x" top: "h"', "num_output: 2", ShapeError, "bottom 2 does not fit"),
    ],
)
def test_refusals(streams: int, more: str, param: str, error: type[CaffeError], match: str) -> None:
    with pytest.raises(error, match=match) as caught:
        bottoms = input_layer("x", 3, 2, 4) + input_layer("cont", 3, streams)
        load(bottoms + layer("lstm", "LSTM", "x cont", more=f"{more} recurrent_param {{ {param} }}"))
    assert "'lstm' (LSTM)" in str(caught.value)


def test_the_slope_of_the_forget_gate_for_odd_cont() -> None:
    """Caffe uses v (1 - v) with v = cont sigmoid(f); they agree only for cont 0 and 1."""
    gates, cont = tf.constant([[0.0, 0.3, 0.0, 0.0]]), tf.constant([[0.5]])
    with tf.GradientTape() as tape:
        tape.watch(gates)
        c, _ = recurrent.lstm_unit(tf.constant([[2.0]]), gates, cont)
    v = 0.5 / (1 + np.exp(-0.3))
    np.testing.assert_allclose(tape.gradient(c, gates)[0, 1], 2 * v * (1 - v), rtol=1e-6)
