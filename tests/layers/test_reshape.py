"""Reshape: the batch axis stays open where that is no guess."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers import Reshape
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import make, tops

CASES = [
    Case("Reshape", Reshape([0, -1, 2]), [SHAPE]),
]


def text(dims: str, more: str = "") -> str:
    return f'type: "Reshape" reshape_param {{ shape {{ {dims} }} {more} }}'


def dims(text: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    return make(text, shape)[0].dim


def test_a_stated_batch_is_copied() -> None:
    assert dims(text("dim: 2 dim: 12"), (2, 3, 4)) == (0, 12)
    assert dims(text("dim: 2 dim: 12", "axis: -4"), (2, 3, 4)) == (0, 12)
    assert tops(text("dim: 1 dim: 3 dim: 4"), (1, 12)) == [(1, 3, 4)]


@pytest.mark.parametrize(
    ("given", "shape", "kept"),
    [
        (text("dim: 2 dim: -1"), (2, 3, 4), (2, -1)),  # a guess beside -1
        (text("dim: 6 dim: 4"), (2, 3, 4), (6, 4)),  # no batch
        (text("dim: 3 dim: 4", "axis: 1"), (3, 12), (3, 4)),  # not the first axis
        (text("dim: 1", "num_axes: 0"), (1, 8), (1,)),  # a new axis before the batch
        (text(""), (1, 1), ()),
    ],
)
def test_other_numbers_stay(given: str, shape: tuple[int, ...], kept: tuple[int, ...]) -> None:
    assert dims(given, shape) == kept


def test_open_sizes() -> None:
    assert Reshape([0, -1]).top_shapes((None, 3, 4)) == [(None, 12)]
    assert Reshape([-1, 4]).top_shapes((None, 3, 4)) == [(None, 4)]
    assert Reshape([1, -1, 4]).top_shapes((None, 3, 4)) == [(1, None, 4)]
    assert Reshape([2, 6], axis=1).top_shapes((None, 3, 4)) == [(None, 2, 6)]


def test_a_number_for_an_open_size_is_refused() -> None:
    with pytest.raises(ShapeError, match="not known"):
        Reshape([6, 4]).top_shapes((None, 3, 4))


@pytest.mark.parametrize("layer", [Reshape([0, -1, 2]), Reshape([-1, 2]), Reshape([0, 6])])
def test_an_empty_batch_and_any_other(layer: Reshape) -> None:
    graph = tf.function(layer, input_signature=[tf.TensorSpec([None, 3, 2], "float32")])
    for batch in (1, 5):
        x = np.arange(batch * 6, dtype="float32").reshape(batch, 3, 2)
        np.testing.assert_array_equal(np.ravel(graph(x)), x.ravel())
    assert Reshape([0, 6])(np.zeros((0, 3, 2), "float32")).shape == (0, 6)


@pytest.mark.parametrize(
    ("given", "error", "reason"),
    [
        (text("dim: -1 dim: -1"), LayerError, "dim has more than one -1"),
        (text("dim: 5 dim: -1"), ShapeError, "the dim of -1 cannot be inferred"),
        (text("dim: 1 dim: 2"), ShapeError, "Reshape changes the number of values"),
        (text("dim: 0 dim: 0 dim: 0 dim: 0"), ShapeError, "dim 3 of reshape_param is 0"),
        (text("dim: 2", "axis: 4"), LayerError, "axis is out of range"),
        (text("dim: 2", "num_axes: 7"), LayerError, r"axis \+ num_axes is beyond the bottom"),
    ],
)
def test_refused(given: str, error: type[LayerError], reason: str) -> None:
    with pytest.raises(error, match=reason):
        tops(given, (2, 3, 4))
