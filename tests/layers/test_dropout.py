"""Dropout: what its random values must fulfil."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_caffe.errors import CaffeWarning, LayerError
from keras_caffe.layers import Dropout
from tests.layers.cases import SHAPE, Case
from tests.layers.golden_case import Golden, Run, cases, from_edge, to_edge
from tests.layers.layer_case import make

CASES = [
    Case("Dropout", Dropout(0.3), [SHAPE]),
]

STOCHASTIC = [case for case in cases("Dropout") if "stochastic" in case.note]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("case", STOCHASTIC, ids=str)
def test_as_in_caffe_each_value_is_dropped_or_scaled(case: Golden, data_format: str) -> None:
    run = Run(case, data_format)
    scale = 1 / (1 - run.model.caffe_layers["layer"].dropout_ratio)
    tops, diffs = run.outcome(*run.step(run.fed(case.group("bottom"))))
    x, kept = case.group("bottom")[0], tops[0] != 0
    np.testing.assert_allclose(tops[0], np.where(kept, x * scale, 0), rtol=1e-5)
    np.testing.assert_allclose(diffs["bottom_diff/0"], np.where(kept, case.group("top_diff")[0] * scale, 0), rtol=1e-5)
    assert from_edge(to_edge(x, data_format), data_format).shape == x.shape


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.9])
def test_the_share_of_dropped_values(ratio: float) -> None:
    y = Dropout(ratio, seed=3)(tf.ones(40_000), training=True).numpy()
    assert abs((y == 0).mean() - ratio) < 4 * np.sqrt(ratio * (1 - ratio) / y.size)
    assert abs(y.mean() - 1) < 5 * np.sqrt(ratio / (1 - ratio) / y.size)


def test_each_call_draws_anew_and_a_seed_repeats() -> None:
    one, other = Dropout(0.5, seed=1), Dropout(0.5, seed=1)
    x = tf.ones(100)
    first, second = one(x, training=True).numpy(), one(x, training=True).numpy()
    assert (first != second).any()
    np.testing.assert_array_equal(other(x, training=True), first)


def test_training_alone_decides() -> None:
    x = tf.ones(10)
    layer = Dropout(0.99)
    np.testing.assert_array_equal(layer(x), x)
    np.testing.assert_array_equal(layer(x, training=False), x)
    model = keras.Sequential([keras.Input((10,)), layer])
    assert (model(tf.ones((50, 10)), training=True).numpy() == 0).any()


NO_PROBABILITY = 'type: "Dropout" phase: %s dropout_param { dropout_ratio: 1.5 }'


def test_a_net_for_the_test_phase_may_have_any_ratio_as_in_caffe() -> None:
    with pytest.warns(CaffeWarning, match=r"dropout_ratio 1.5 is no probability; training this net would drop nothing"):
        layer, _ = make(NO_PROBABILITY % "TEST", (3,))
    np.testing.assert_array_equal(layer(tf.ones(3)), np.ones(3))


def test_a_net_for_training_may_not() -> None:
    with pytest.raises(LayerError, match="dropout_ratio must be a number of at least 0 and of at most 1; received 1.5"):
        make(NO_PROBABILITY % "TRAIN", (3,))
