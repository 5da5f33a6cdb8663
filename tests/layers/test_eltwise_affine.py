"""EltwiseAffine: a factor and a summand for each channel or for all."""

from __future__ import annotations

import numpy as np
import pytest

import keras_caffe
from keras_caffe.errors import CaffeError
from keras_caffe.layers import EltwiseAffine
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import tops
from tests.layers.numbers import gradients, numbers
from tests.nets import net_with
from tests.random_nets.parts_simple import FLAG, simple

IMAGES = (2, 3, 4, 5)
CASES = [
    Case(
        "EltwiseAffine",
        EltwiseAffine(),
        [SHAPE],
        net=net_with("EltwiseAffine", IMAGES),
        values="formula in tests/layers/test_eltwise_affine.py",
        refused=[
            ({"axis": 1.5}, "axis must be a whole number; received 1.5"),
            ({"channel_shared": 2}, "channel_shared must be True or False; received 2"),
            ({"filler": 1}, "filler"),
            ({"bias_filler": 1}, "bias_filler"),
        ],
    )
]
PARTS = {"EltwiseAffine": simple("EltwiseAffine", "eltwise_affine_param", (2, 3, 4), channel_shared=FLAG)}


@pytest.mark.parametrize(("shared", "count"), [("false", (3,)), ("true", ())])
def test_values(shared: str, count: tuple[int, ...]) -> None:
    text = net_with("EltwiseAffine", IMAGES, param=f"eltwise_affine_param {{ channel_shared: {shared} }}")
    model = keras_caffe.load(text, data_format="channels_first")
    (name,) = model.caffe_layers
    first = model.get_caffe_params()[name]
    np.testing.assert_array_equal(first[0], np.full(count, 1.0001, "float32"))
    np.testing.assert_array_equal(first[1], np.full(count, 0.0001, "float32"))
    slope, bias, x = numbers(1, count), numbers(2, count), numbers(0, IMAGES)
    model.set_caffe_params({name: [slope, bias]})
    wide = (*count, 1, 1) if count else ()
    np.testing.assert_allclose(model(x), x * slope.reshape(wide) + bias.reshape(wide), rtol=1e-5, atol=1e-6)


def test_fillers_and_gradient() -> None:
    layer = EltwiseAffine(1, filler={"type": "constant", "value": 3}, bias_filler={"type": "constant", "value": -1})
    x, weights = numbers(0, (2, 3, 4)), numbers(1, (2, 3, 4))
    np.testing.assert_allclose(layer(x), 3 * x - 1, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradients(layer, [x], weights)[0], 3 * weights, rtol=1e-6)


def test_refused() -> None:
    with pytest.raises(CaffeError, match="EltwiseAffine needs a channel axis"):
        tops('type: "EltwiseAffine"', (2,))
