"""Div: spread as NumPy does."""

from __future__ import annotations

import numpy as np
import pytest

from keras_caffe.errors import CaffeError
from keras_caffe.layers import Div
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import tops
from tests.layers.numbers import gradients, numbers
from tests.nets import net_with

NET = net_with("Div", (2, 3, 4, 5), (1,))
CASES = [Case("Div", Div(), [SHAPE, SHAPE], net=NET, values="formula in tests/layers/test_div.py")]


@pytest.mark.parametrize(("one", "other"), [((2, 3, 4, 5), (3, 1, 5)), ((4, 1), (2, 1, 5)), ((2, 3), ()), ((), (2, 3))])
def test_bottoms_are_spread(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    x, by = numbers(0, one), numbers(1, other)
    assert tops('type: "Div"', one, other) == [np.broadcast_shapes(one, other)]
    np.testing.assert_allclose(Div()([x, by]), x / by, rtol=1e-6)


def test_gradients() -> None:
    x, by, weights = numbers(0, (2, 3, 4)), numbers(1, (3, 1)), numbers(2, (2, 3, 4))
    of_x, of_by = gradients(Div(), [x, by], weights)
    np.testing.assert_allclose(of_x, weights / by, rtol=1e-5)
    np.testing.assert_allclose(of_by, (-weights * x / by**2).sum((0, 2))[:, None], rtol=1e-4)


def test_refused() -> None:
    with pytest.raises(CaffeError, match="Div cannot spread one bottom over the other"):
        tops('type: "Div"', (2, 3, 4), (2, 1))
