"""ArgMax: the order of equal values, and room for the indices."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_caffe.errors import LayerError
from keras_caffe.layers import ArgMax
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import make, tops

CASES = [
    Case("ArgMax", ArgMax(top_k=2), [SHAPE]),
    Case("ArgMax", ArgMax(top_k=2, axis=-1, out_max_val=True), [SHAPE]),
]


def test_of_equal_values_the_last_comes_first() -> None:
    x = np.array([[1, 5, 5, 0, 5]], "float32")
    np.testing.assert_array_equal(ArgMax(top_k=4)(x), [[[4, 2, 1, 0]]])


def test_half_precision_keeps_the_index() -> None:
    x = np.zeros((1, 5000), "float32")
    x[0, 4097] = 1
    layer = ArgMax(dtype="mixed_float16")
    assert layer(keras.Input((5000,))).dtype == "float32"
    assert float(layer(x)[0, 0, 0]) == 4097


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_shapes_and_orders(data_format: str) -> None:
    shape = (2, 3, 4, 5)
    assert tops('type: "ArgMax" argmax_param { top_k: 2 }', shape, data_format=data_format) == [(2, 1, 2, 1)]
    assert tops('type: "ArgMax" argmax_param { axis: 1 }', shape, data_format=data_format) == [(2, 1, 4, 5)]
    _, orders = make('type: "ArgMax"', shape, data_format=data_format)
    assert orders == [(0, 1, 2, 3)]


@pytest.mark.parametrize(
    ("param", "reason"),
    [
        ("top_k: 7", "top_k is larger than the number of values; expected at most 3"),
        ("top_k: 0", "top_k must be a whole number of at least 1; received 0"),
        ("axis: 2", "axis is out of range"),
        ("axis: 1 top_k: 4", "top_k is larger than the number of values; expected at most 3"),
    ],
)
def test_refused(param: str, reason: str) -> None:
    with pytest.raises(LayerError, match=reason):
        tops(f'type: "ArgMax" argmax_param {{ {param} }}', (2, 3))
