"""to_keras: recurrent layers, step by step."""

from __future__ import annotations

import numpy as np
import pytest

import keras_caffe
from tests.plain.apart import FLAGGED, is_plain, values


@pytest.mark.parametrize("kind", ["LSTM", "RNN", "Lstm"])
def test_recurrent_layers_learn_as_caffes_do(kind: str) -> None:
    tf = pytest.importorskip("tensorflow")
    model = keras_caffe.load(FLAGGED % (kind, "lstm_param" if kind == "Lstm" else "recurrent_param"))
    x, upstream, cont = tf.constant(values(5, 2, 3)), values(5, 2, 4), np.ones((5, 2), "float32")
    cont[0], cont[2, 1] = 0, 0
    sums = []
    for net in (model, keras_caffe.to_keras(model)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(net({"x": x, "cont": tf.constant(cont)}) * upstream)
        gradients = tape.gradient(loss, [x, *net.trainable_variables])
        assert all(np.any(gradient) for gradient in gradients)
        sums.append([np.asarray(gradients[0]).ravel(), *sorted(np.asarray(tf.reduce_sum(g)) for g in gradients[1:])])
    for want, got in zip(*sums, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


INPUTS = FLAGGED.partition('layer { name: "memory"')[0]
ONCE_MORE = """
layer { name: "%s" type: "%s" bottom: "x" %s top: "%s" %s { num_output: 4 %s
  weight_filler { type: "uniform" min: -1 max: 1 } bias_filler { type: "uniform" min: -1 } } }
"""
SILENCE = 'layer { name: "end" type: "Silence" bottom: "cont" }'
BLOBS = {"LSTM": 3, "RNN": 5, "Lstm": 3}


def fed_to(model: keras_caffe.CaffeModel) -> dict[str, np.ndarray]:
    """Random values in the declared shapes, of flags some of which are 0."""
    draw = np.random.default_rng(5)
    shapes = {name: model.caffe_shapes[name] for name in model.input_names}
    return {
        n: (draw.random(s) > 0.3 if n == "cont" else draw.normal(size=s)).astype("float32") for n, s in shapes.items()
    }


def assert_plain_is_the_same(model: keras_caffe.CaffeModel, variables: int) -> None:
    """Of the plain model, and of what the code builds. Both begin with zeros, as the model does at its first call."""
    plain, code = keras_caffe.to_keras(model), {"__name__": "net"}
    assert is_plain(plain) and len(plain.trainable_variables) == variables
    exec(keras_caffe.to_code(model), code)
    built = code["build_model"]()
    for layer in plain.layers:
        built.get_layer(layer.name).set_weights(layer.get_weights())
    fed = fed_to(model)
    wanted = model(fed)
    for got in (plain(fed), built(fed)):
        assert got.keys() == wanted.keys()
        for name, want in wanted.items():
            np.testing.assert_allclose(got[name], want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shared", ["first", "all but the first", "all"])
@pytest.mark.parametrize("kind", BLOBS)
def test_recurrent_layers_share_parameters(kind: str, shared: str) -> None:
    count, message = BLOBS[kind], "lstm_param" if kind == "Lstm" else "recurrent_param"
    used = {"first": range(1), "all but the first": range(1, count), "all": range(count)}[shared]
    params = " ".join(f'param {{ name: "{number}" }}' if number in used else "param { }" for number in range(count))
    layers = [ONCE_MORE % (name, kind, 'bottom: "cont"', name, f"{params} {message}", "") for name in ("one", "two")]
    assert_plain_is_the_same(keras_caffe.load(INPUTS + "".join(layers)), 2 * count - len(used))


def test_older_recurrent_layers_without_flags_share_some_parameters() -> None:
    layers = [ONCE_MORE % (name, "Lstm", "", name, 'param { name: "w" } lstm_param', "") for name in ("one", "two")]
    assert_plain_is_the_same(keras_caffe.load(INPUTS + "".join(layers) + SILENCE), 5)


@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("still", ["", 'bottom: "still"'])
@pytest.mark.parametrize(("kind", "states"), [("LSTM", "hc"), ("RNN", "h")])
def test_recurrent_layers_with_exposed_states(kind: str, states: str, still: str, steps: int) -> None:
    text = INPUTS.replace("dim: 5", f"dim: {steps}") + "".join(
        f'layer {{ name: "{n}" type: "Input" top: "{n}" input_param {{ shape {{ dim: 1 dim: 2 dim: 4 }} }} }}'
        for n in states
    )
    if still:
        text += 'layer { name: "still" type: "Input" top: "still" input_param { shape { dim: 2 dim: 6 } } }'
    bottoms = " ".join(['bottom: "cont"', still, *(f'bottom: "{name}"' for name in states)])
    tops = " ".join(f'top: "last_{name}"' for name in states)
    text += ONCE_MORE % ("memory", kind, bottoms, "memory", f"{tops} recurrent_param", "expose_hidden: true")
    assert_plain_is_the_same(keras_caffe.load(text), BLOBS[kind] + bool(still))


@pytest.mark.parametrize("steps", [4, 6])
def test_batches_of_other_numbers_of_steps_are_refused(steps: int) -> None:
    plain = keras_caffe.to_keras(keras_caffe.load(FLAGGED % ("LSTM", "recurrent_param")))
    with pytest.raises(Exception, match="(?i)shape"):
        plain({"x": values(steps, 2, 3), "cont": np.ones((steps, 2), "float32")})
