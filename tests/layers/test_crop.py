"""Crop: offsets and refusals."""

from __future__ import annotations

import pytest

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers import Crop
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import make, tops

CASES = [
    Case("Crop", Crop(axes=(1, 2), offset=(1, 0)), [SHAPE, (None, 2, 3, 8)]),
]


def text(param: str = "") -> str:
    return f'type: "Crop" crop_param {{ {param} }}'


def test_tensor_axes() -> None:
    shapes = (1, 3, 8, 9), (1, 2, 4, 5)
    layer, orders = make(text("offset: 2 offset: 3"), *shapes)
    assert (layer.axes, layer.offset, orders) == ((1, 2), (2, 3), [(0, 2, 3, 1)] * 2)
    layer, _ = make(text("axis: 1 offset: 1"), *shapes, data_format="channels_first")
    assert (layer.axes, layer.offset) == ((1, 2, 3), (1, 1, 1))


def test_open_sizes() -> None:
    crop = Crop(axes=(1,), offset=(1,))
    assert crop.top_shapes((None, None, 3), (None, 4, 9)) == [(None, 4, 3)]
    assert crop.top_shapes((None, 9, 3), (None, None, 9)) == [(None, None, 3)]


@pytest.mark.parametrize(
    ("param", "like", "error", "reason"),
    [
        ("offset: 2", (1, 3, 7, 4), ShapeError, "reaches beyond its bottom"),
        ("offset: 1 offset: 1 offset: 1", (1, 3, 2, 2), LayerError, "offset must be given once or once per axis"),
        ("axis: 4", (1, 3, 2, 2), LayerError, "axis is out of range"),
        ("", (1, 3, 2), ShapeError, "the same number of axes"),
    ],
)
def test_refused(param: str, like: tuple[int, ...], error: type[LayerError], reason: str) -> None:
    with pytest.raises(error, match=reason):
        tops(text(param), (1, 3, 8, 9), like)
