"""SigmoidCrossEntropyBalanceLoss by its formula, and where SigmoidCrossEntropyLoss is it."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import keras_caffe
from keras_caffe.errors import CaffeError, CaffeWarning
from keras_caffe.layers import SigmoidCrossEntropyBalanceLoss, SigmoidCrossEntropyLoss
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import tops
from tests.nets import input_layer, layer, net_with

KIND = "SigmoidCrossEntropyBalanceLoss"
CASES = [
    Case(
        KIND,
        SigmoidCrossEntropyBalanceLoss(),
        [SHAPE, SHAPE],
        net=net_with(KIND, (2, 3, 4, 4), (2, 3, 4, 4)),
        values="formula in tests/layers/test_sigmoid_cross_entropy_balance_loss.py",
    )
]


def wanted(x: np.ndarray, t: np.ndarray) -> tuple[float, np.ndarray]:
    """The loss and its gradient, image by image, in float64."""
    x, loss, back = x.astype(float), 0.0, np.zeros(x.shape)
    for n in range(len(x)):
        ones, zeros = (t[n] == 1).sum(), (t[n] == 0).sum()
        weight = np.where(t[n] == 1, zeros / (ones + zeros), np.where(t[n] == 0, ones / (ones + zeros), 0))
        each = np.maximum(x[n], 0) - x[n] * t[n] + np.log1p(np.exp(-np.abs(x[n])))
        loss += (weight * each).sum() / len(x)
        of_sigmoid = 1 / (1 + np.exp(-x[n])) - t[n]
        back[n] = of_sigmoid * np.where(np.isin(t[n], (0, 1)), weight, 1) / len(x)
    return loss, back


@pytest.mark.parametrize("most", [2, 3])
def test_values_and_gradient(most: int) -> None:
    """Targets other than 0 and 1 do not count, and have a gradient all the same."""
    random = np.random.default_rng(most)
    x = random.normal(0, 3, size=(3, 4, 5, 1)).astype("float32")
    t = random.integers(0, most, size=x.shape).astype("float32")
    with tf.GradientTape() as tape:
        tape.watch(scores := tf.constant(x))
        loss = SigmoidCrossEntropyBalanceLoss()([scores, t])
    value, back = wanted(x, t)
    np.testing.assert_allclose(loss, value, rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(loss, scores), back, rtol=1e-4, atol=1e-6)


def test_rcf_weighs_negatives_more_and_leaves_out_the_unsure() -> None:
    """As yun-liu/rcf has it, pixel by pixel."""
    random = np.random.default_rng(7)
    x, t = random.normal(0, 3, size=(2, 6)).astype("float32"), np.array([[1, 0, 0, 0.4, 0, 1], [0.4, 1, 1, 1, 0, 0]])
    net = input_layer("x", 2, 6) + input_layer("t", 2, 6) + layer("loss", "SigmoidCrossEntropyLoss", "x t", "loss")
    with pytest.warns(CaffeWarning, match="as yun-liu/rcf does"):
        model = keras_caffe.load(net, fork="rcf")
    loss, back = 0.0, np.zeros(x.shape)
    for n in range(2):
        ones, zeros = sum(t[n] == 1), sum(t[n] == 0)
        for j in range(6):
            share = {1: zeros, 0: 1.1 * ones}.get(t[n, j], 0) / (ones + zeros)
            loss += share * (max(x[n, j], 0) - x[n, j] * t[n, j] + np.log1p(np.exp(-abs(x[n, j])))) / 2
            back[n, j] = share * (1 / (1 + np.exp(-x[n, j])) - t[n, j]) / 2
    with tf.GradientTape() as tape:
        tape.watch(scores := tf.constant(x))
        top = model([scores, tf.constant(t, "float32")])
        top = top["loss"] if isinstance(top, dict) else top
    np.testing.assert_allclose(top, loss, rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(top, scores), back, rtol=1e-4, atol=1e-6)


def test_an_image_of_one_kind_has_no_loss_and_of_neither_is_nan() -> None:
    x = np.ones((1, 4), "float32")
    assert float(SigmoidCrossEntropyBalanceLoss()([x, np.ones_like(x)])) == 0
    assert np.isnan(SigmoidCrossEntropyBalanceLoss()([x, 2 * np.ones_like(x)]))


NET = input_layer("x", 2, 1, 3, 4) + input_layer("t", 2, 1, 3, 4)
LOSS = layer("l", "SigmoidCrossEntropyLoss", "x t", "l")
DATA = layer("data", "ImageLabelmapData", "", "data label", "include { stage: 'never' }")


@pytest.mark.parametrize(("text", "fork"), [(NET + LOSS, "hed"), (DATA + NET + LOSS, None)])
def test_the_plain_name_in_hed(text: str, fork: str | None) -> None:
    with pytest.warns(CaffeWarning, match=r"weighs positives and negatives.*hed.*fork='bvlc'"):
        model = keras_caffe.load(text, fork=fork)
    assert isinstance(model.caffe_layers["l"], SigmoidCrossEntropyBalanceLoss)


def test_the_plain_name_elsewhere() -> None:
    for text, fork in [(NET + LOSS, None), (DATA + NET + LOSS, "bvlc")]:
        assert isinstance(keras_caffe.load(text, fork=fork).caffe_layers["l"], SigmoidCrossEntropyLoss)


def test_refused() -> None:
    with pytest.raises(CaffeError, match="scores and targets must have the same number of values"):
        tops(f'type: "{KIND}"', (2, 3), (2, 4))
