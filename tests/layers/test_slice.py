"""Slice: open sizes and refusals."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers import Slice
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import make, tops

CASES = [
    Case("Slice", Slice(3, -1, [1, 5]), [SHAPE]),
]


def text(param: str, count: int) -> str:
    return f'type: "Slice" {" ".join(f"""top: "t{i}" """ for i in range(count))} slice_param {{ {param} }}'


def test_along_an_open_axis() -> None:
    assert Slice(2, 0).top_shapes((None, 3)) == [(None, 3)] * 2
    assert Slice(3, 0, [1, 4]).top_shapes((None, 3)) == [(1, 3), (3, 3), (None, 3)]
    x = np.arange(18, dtype="float32").reshape(6, 3)
    signature = [tf.TensorSpec([None, 3], "float32")]
    for layer, cuts in ((Slice(2, 0), [3]), (Slice(3, 0, [1, 4]), [1, 4])):
        parts = tf.function(layer, input_signature=signature)(x)
        for part, want in zip(parts, np.split(x, cuts), strict=True):
            np.testing.assert_array_equal(part, want)


def test_the_last_part_may_be_empty() -> None:
    assert tops(text("slice_point: 2 slice_point: 4", 3), (1, 4)) == [(1, 2), (1, 2), (1, 0)]


@pytest.mark.parametrize(
    ("given", "error", "reason"),
    [
        (text("", 2), ShapeError, "cannot cut into equal parts"),
        (text("slice_point: 1 slice_point: 1", 3), LayerError, "slice_point must rise and start at 1"),
        (text("slice_point: 0", 2), LayerError, "slice_point must rise and start at 1"),
        (text("slice_point: 1", 3), LayerError, "slice_point must be given once per cut"),
        (text("slice_point: 4", 2), ShapeError, "cuts beyond its bottom"),
        (text("slice_point: 1 slice_point: 2 slice_point: 3", 4), ShapeError, "cuts beyond its bottom"),
        (text("axis: 2", 1), LayerError, "axis is out of range"),
        (text("axis: 1 slice_dim: 1", 3), LayerError, "axis and slice_dim are both given"),
        (text("slice_dim: 5", 1), LayerError, "slice_dim is out of range"),
    ],
)
def test_refused(given: str, error: type[LayerError], reason: str) -> None:
    with pytest.raises(error, match=reason):
        tops(given, (2, 3))


def test_one_top_is_the_bottom() -> None:
    layer, _ = make(text("", 1), (2, 3))
    np.testing.assert_array_equal(layer(np.ones((2, 3), "float32")), np.ones((2, 3)))
