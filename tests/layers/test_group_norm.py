"""GroupNorm by its formula, forward and backward."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

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
        GroupNorm(4),
        [SHAPE],
        net=net_with("GroupNorm", (2, 6, 4, 5), param="group_norm_param { group_num: 3 }"),
        values=HERE,
        refused=[
            ({"groups": 0}, "groups must be a whole number of at least 1; received 0"),
            ({"eps": "x"}, "eps must be a number; received 'x'"),
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


def test_groups_of_rows() -> None:
    x = np.random.default_rng(0).normal(size=(3, 8)).astype("float32")
    wanted, _ = normalized_by_loops(x, 2, 1e-5, x)
    np.testing.assert_allclose(GroupNorm(2)(x), wanted, rtol=1e-4, atol=1e-5)


def test_refused() -> None:
    with pytest.raises(CaffeError, match=r"groups does not divide the channels; expected a divisor of 6; received 32"):
        tops('type: "GroupNorm"', (2, 6, 4, 5))
    with pytest.raises(CaffeError, match="GroupNorm needs a channel axis"):
        tops('type: "GroupNorm"', (2,))
