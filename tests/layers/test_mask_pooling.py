"""MaskPooling: one number for all channels of a pixel."""

from __future__ import annotations

import numpy as np
import pytest

from keras_caffe.errors import CaffeError
from keras_caffe.layers import MaskPooling
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import tops
from tests.layers.numbers import gradients, numbers
from tests.nets import net_with

IMAGES = (2, 3, 4, 5)
CASES = [
    Case(
        "MaskPooling",
        MaskPooling(),
        [SHAPE, (None, 4, 6, 1)],
        net=net_with("MaskPooling", IMAGES, (2, 1, 4, 5)),
        values="formula in tests/layers/test_mask_pooling.py",
    )
]


def test_values_and_gradients() -> None:
    x, mask, weights = numbers(0, (2, 4, 5, 3)), numbers(1, (2, 4, 5, 1)), numbers(2, (2, 4, 5, 3))
    np.testing.assert_array_equal(MaskPooling()([x, mask]), x * mask)
    of_x, of_mask = gradients(MaskPooling(), [x, mask], weights)
    np.testing.assert_allclose(of_x, weights * mask, rtol=1e-6)
    np.testing.assert_allclose(of_mask, (weights * x).sum(-1, keepdims=True), rtol=1e-4, atol=1e-6)


def test_refused() -> None:
    with pytest.raises(CaffeError, match="MaskPooling needs one number of the mask for each pixel"):
        tops('type: "MaskPooling"', IMAGES, IMAGES)
    with pytest.raises(CaffeError, match="MaskPooling needs bottoms with 4 axes"):
        tops('type: "MaskPooling"', (2, 3), (2, 1))
