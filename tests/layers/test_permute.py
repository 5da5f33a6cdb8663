"""Permute: nothing moves, the axes get other meanings."""

from __future__ import annotations

import numpy as np
import pytest

from keras_caffe.errors import LayerError
from keras_caffe.layers import Permute
from keras_caffe.layout import to_stored
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import make, tops

CASES = [
    Case("Permute", Permute([0, 2, 3, 1]), [SHAPE]),
]


def text(*order: int) -> str:
    return 'type: "Permute" permute_param { ' + " ".join(f"order: {axis}" for axis in order) + " }"


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("order", [(0, 2, 3, 1), (3, 2, 1, 0), (1, 0, 3, 2), (2, 0, 1, 3), (1,), ()])
def test_the_stored_axes_mean_the_transposed_blob(order: tuple[int, ...], data_format: str) -> None:
    blob = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    layer, orders = make(text(*order), blob.shape, data_format=data_format)
    want = blob.transpose(layer.order)
    (top_order,) = layer.top_orders(orders, [4])
    np.testing.assert_array_equal(blob.transpose(orders[0]), want.transpose(top_order))
    assert tops(text(*order), blob.shape, data_format=data_format) == [want.shape]
    assert layer.top_shapes(to_stored(blob.shape, orders[0])) == [to_stored(want.shape, top_order)]


def test_axes_that_are_not_named_follow_in_order() -> None:
    assert make(text(2), (1, 2, 3, 4))[0].order == (2, 0, 1, 3)


def test_a_detection_head_comes_out_in_caffe_s_order() -> None:
    assert Permute([0, 2, 3, 1]).top_orders([(0, 2, 3, 1)], [4]) == [(0, 1, 2, 3)]


@pytest.mark.parametrize("order", [(0, 4), (1, 1)])
def test_refused(order: tuple[int, ...]) -> None:
    with pytest.raises(LayerError, match="order"):
        make(text(*order), (1, 2, 3, 4))
