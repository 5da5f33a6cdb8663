"""GroupNorm by its formula, forward and backward."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import keras_caffe
from keras_caffe.errors import CaffeError
from keras_caffe.layers import GroupNorm
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import tops
from tests.layers.numbers import normalized_by_loops
from tests.nets import net_with
from tests.random_nets.parts_simple import simple

HERE = "formula in tests/layers/test_group_norm.py"
CASES = [
    Case(
        "GroupNorm",
        GroupNorm(4, affine=True, bias_filler={"type": "constant", "value": 2.0}),
        [SHAPE],
        net=net_with(
            "GroupNorm",
            (2, 6, 4, 5),
            param="group_norm_param { group: 3 scale_filler { type: 'uniform' min: 1 } bias_filler { value: 2 } }",
        ),
        values=HERE,
    ),
    Case(
        "GroupNorm",
        GroupNorm(4),
        [SHAPE],
        net=net_with("GroupNorm", (2, 6, 4, 5), param="group_norm_param { group_num: 3 }"),
        values=HERE,
        refused=[
            ({"groups": 0}, "groups must be a whole number of at least 1; received 0"),
            ({"eps": "x"}, "eps must be a number; received 'x'"),
            ({"affine": 2}, "affine must be True or False; received 2"),
            ({"scale_filler": "x"}, "scale_filler"),
            ({"bias_filler": "x"}, "bias_filler"),
        ],
    ),
]
PARTS = {
    "GroupNorm": simple("GroupNorm", "group_norm_param", (3, 4), group_num=(1,), eps=(0.01, 0.1)),
}


@pytest.mark.parametrize(
    ("layer", "groups", "eps"),
    [(GroupNorm(3), 3, 1e-5), (GroupNorm(1, 0.5), 1, 0.5), (GroupNorm(6), 6, 1e-5)],
)
def test_values_and_gradient(layer: GroupNorm, groups: int, eps: float) -> None:
    random = np.random.default_rng(0)
    x, weights = (random.normal(2, 3, size=(2, 4, 5, 6)).astype("float32") for _ in range(2))
    with tf.GradientTape() as tape:
        tape.watch(bottom := tf.constant(x))
        top = layer(bottom)
    wanted, back = normalized_by_loops(np.moveaxis(x, -1, 1), groups, eps, np.moveaxis(weights, -1, 1))
    np.testing.assert_allclose(np.moveaxis(top, -1, 1), wanted, rtol=1e-4, atol=1e-5)
    got = np.asarray(tape.gradient(top, bottom, tf.constant(weights)))
    np.testing.assert_allclose(np.moveaxis(got, -1, 1), back, rtol=1e-3, atol=1e-5)


def test_learned_scale_and_bias() -> None:
    """dx is that of the plain layer for s g, ds the sum of g y, db that of g, over all but the channels."""
    random = np.random.default_rng(1)
    x, g = (random.normal(1, 2, size=(2, 4, 5, 6)).astype("float32") for _ in range(2))
    scale, bias = (random.normal(size=6).astype("float32") for _ in range(2))
    layer = GroupNorm(3, 0.01, affine=True)
    layer.build(x.shape)
    layer.scale.assign(scale.reshape(1, 6, 1, 1))
    layer.bias.assign(bias.reshape(1, 6, 1, 1))
    with tf.GradientTape() as tape:
        tape.watch(bottom := tf.constant(x))
        top = layer(bottom)
    got = tape.gradient(top, [bottom, layer.scale.value, layer.bias.value], tf.constant(g))
    plain, back = (np.moveaxis(a, 1, -1) for a in channels_first(x, 3, 0.01, g * scale))
    np.testing.assert_allclose(top, plain * scale + bias, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got[0], back, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(np.ravel(got[1]), (g * plain).sum((0, 1, 2)), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.ravel(got[2]), g.sum((0, 1, 2)), rtol=1e-4, atol=1e-4)


def channels_first(x: np.ndarray, groups: int, eps: float, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return normalized_by_loops(np.moveaxis(x, -1, 1), groups, eps, np.moveaxis(g, -1, 1))


def test_fields_of_each_fork() -> None:
    """One says group_ratio, one group, with blobs that Caffe's filler fills with zeros unless it is told otherwise."""
    net = net_with("GroupNorm", (1, 6, 2, 2), param="group_norm_param { %s }")
    x = np.random.default_rng(2).normal(size=(1, 6, 2, 2)).astype("float32")
    wanted, _ = normalized_by_loops(x, 2, 1e-5, x)
    for fields, blobs in [("group_ratio: 2", 0), ("group: 2 scale_filler { value: 1 }", 2)]:
        model = keras_caffe.load(net % fields, data_format="channels_first")
        assert [b.shape for b in model.get_caffe_params().get("layer", [])] == [(1, 6, 1, 1)] * blobs
        np.testing.assert_allclose(model(x), wanted, rtol=1e-4, atol=1e-5)
    unfilled = keras_caffe.load(net % "group: 2", data_format="channels_first")
    assert np.all(np.asarray(unfilled(x)) == 0)
    with pytest.raises(CaffeError, match=r"set twice.*group_num.*group"):
        keras_caffe.load(net % "group_num: 2 group: 3")


def test_groups_of_rows() -> None:
    x = np.random.default_rng(0).normal(size=(3, 8)).astype("float32")
    wanted, _ = normalized_by_loops(x, 2, 1e-5, x)
    np.testing.assert_allclose(GroupNorm(2)(x), wanted, rtol=1e-4, atol=1e-5)


def test_refused() -> None:
    with pytest.raises(CaffeError, match=r"groups does not divide the channels; expected a divisor of 6; received 32"):
        tops('type: "GroupNorm"', (2, 6, 4, 5))
    with pytest.raises(CaffeError, match="GroupNorm needs a channel axis"):
        tops('type: "GroupNorm"', (2,))
