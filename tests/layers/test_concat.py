"""Concat: open sizes and refusals."""

from __future__ import annotations

import pytest

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers import Concat
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import tops

CASES = [
    Case("Concat", Concat(axis=-1), [SHAPE, SHAPE]),
]


def text(param: str = "") -> str:
    return f'type: "Concat" concat_param {{ {param} }}'


def test_open_sizes() -> None:
    assert Concat(1).top_shapes((None, 2), (5, 3)) == [(5, 5)]
    assert Concat(0).top_shapes((None, 2), (5, None)) == [(None, 2)]
    assert Concat(-1).top_shapes((None, None), (None, 3)) == [(None, None)]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_caffe_axes(data_format: str) -> None:
    shapes = (2, 3, 4, 5), (2, 6, 4, 5)
    assert tops(text(), *shapes, data_format=data_format) == [(2, 9, 4, 5)]
    assert tops(text("axis: -3"), *shapes, data_format=data_format) == [(2, 9, 4, 5)]
    assert tops(text("concat_dim: 1"), *shapes, data_format=data_format) == [(2, 9, 4, 5)]


@pytest.mark.parametrize(
    ("given", "shapes", "error", "reason"),
    [
        (text(), [(2, 3, 4), (2, 3, 5)], ShapeError, "may differ along axis 1 only"),
        (text(), [(2, 3), (2, 3, 1)], ShapeError, "different numbers of axes"),
        (text("axis: 2"), [(2, 3), (2, 3)], LayerError, "axis is out of range"),
        (text("axis: 1 concat_dim: 1"), [(2, 3), (2, 3)], LayerError, "axis and concat_dim are both given"),
        (text("axis: 0"), [()], LayerError, "axis is out of range"),
    ],
)
def test_refused(given: str, shapes: list[tuple[int, ...]], error: type[LayerError], reason: str) -> None:
    with pytest.raises(error, match=reason):
        tops(given, *shapes)
