"""Maxout: groups of channels in a row."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe.layers import Maxout
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import make
from tests.nets import net_with

CASES = [
    Case(
        "Maxout",
        Maxout(2),
        [SHAPE],
        net=net_with("Maxout", (2, 4, 6, 6), param="maxout_param { chgroup_sz: 2 }"),
        values="formula in tests/layers/test_maxout.py",
    ),
]


def test_of_equal_values_the_first_takes_the_gradient() -> None:
    x = tf.constant([[3.0, 3.0, 1.0, 2.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        top = Maxout(2)(x)
    np.testing.assert_array_equal(top, [[3, 2]])
    np.testing.assert_array_equal(tape.gradient(top, x), [[1, 0, 0, 1]])


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("param", ["chgroup_sz: 3", "num_output: 2"])
def test_the_greatest_of_each_group(param: str, data_format: str) -> None:
    x = np.random.default_rng(0).normal(size=(2, 6, 4, 5)).astype("float32")
    layer, orders = make(f'type: "Maxout" maxout_param {{ {param} }}', x.shape, data_format=data_format)
    want = x.reshape(2, 2, 3, 4, 5).max(axis=2).transpose(orders[0])
    np.testing.assert_array_equal(layer(x.transpose(orders[0])), want)
