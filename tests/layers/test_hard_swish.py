"""HardSwish and its gradient, at the bends too."""

from __future__ import annotations

import numpy as np

from keras_caffe.layers import HardSwish
from tests.layers.cases import SHAPE, Case
from tests.layers.numbers import gradients
from tests.nets import net_with
from tests.random_nets.parts_simple import simple

NET = net_with("HardSwish", (2, 3, 4, 5))
CASES = [Case("HardSwish", HardSwish(), [SHAPE], net=NET, values="formula in tests/layers/test_hard_swish.py")]
PARTS = {"HardSwish": simple("HardSwish")}

X = np.array([-9, -3, -2.5, -1, 0, 0.5, 2.9, 3, 8], "float32")


def test_values_and_gradient() -> None:
    np.testing.assert_allclose(HardSwish()(X), X * np.clip(X + 3, 0, 6) / 6, rtol=1e-6)
    (slope,) = gradients(HardSwish(), [X], np.ones_like(X))
    np.testing.assert_allclose(slope, np.where(X < -3, 0, np.where(X > 3, 1, (2 * X + 3) / 6)), rtol=1e-6, atol=1e-7)
