"""InstanceNorm by its formula, forward and backward."""

from __future__ import annotations

import numpy as np
import pytest

from keras_caffe.errors import CaffeError
from keras_caffe.layers import InstanceNorm
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import tops
from tests.layers.numbers import gradients, normalized_by_loops, numbers
from tests.nets import net_with
from tests.random_nets.parts_simple import simple

CASES = [
    Case(
        "InstanceNorm",
        InstanceNorm(),
        [SHAPE],
        net=net_with("InstanceNorm", (2, 3, 4, 5)),
        values="formula in tests/layers/test_instance_norm.py",
        refused=[({"eps": None}, "eps must be a number; received None")],
    )
]
PARTS = {"InstanceNorm": simple("InstanceNorm", "", (4,))}


def test_values_and_gradient() -> None:
    x, weights = numbers(0, (2, 3, 4, 5)), numbers(1, (2, 3, 4, 5))
    last = [np.moveaxis(a, 1, -1) for a in (x, weights)]
    wanted, back = normalized_by_loops(x, 3, 1e-4, weights)
    np.testing.assert_allclose(np.moveaxis(InstanceNorm()(last[0]), -1, 1), wanted, rtol=1e-4, atol=1e-5)
    (got,) = gradients(InstanceNorm(), last[:1], last[1])
    np.testing.assert_allclose(np.moveaxis(got, -1, 1), back, rtol=1e-3, atol=1e-5)


def test_refused() -> None:
    with pytest.raises(CaffeError, match="InstanceNorm needs bottoms with 4 axes"):
        tops('type: "InstanceNorm"', (2, 3))
