"""Resample, Downsample and Accum: sizes, what counts as missing, refusals."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers import Accum, Downsample, Resample
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import tops
from tests.random_nets.draft import Draft

SIZE = r"size \(height, width\) must be a whole number of at least {}; received {}"
LIKE = (None, 5, 3, 2)
CASES = [
    Case(
        "Accum",
        Accum(size_divisible_by=4),
        [SHAPE, LIKE],
        refused=[
            ({"size": -1}, SIZE.format(0, -1)),
            ({"size_divisible_by": -1}, "size_divisible_by must be a whole number of at least 0; received -1"),
            ({"have_reference": 2}, "have_reference must be True or False; received 2"),
        ],
    ),
    Case("Accum", Accum(have_reference=True), [SHAPE, LIKE]),
    Case("Downsample", Downsample(3), [SHAPE], refused=[({"size": 0}, SIZE.format(1, 0))]),
    Case(
        "Resample",
        Resample((9, 4)),
        [SHAPE],
        refused=[
            ({"size": 0}, SIZE.format(1, 0)),
            ({"type": "AREA"}, "unknown type; expected one of NEAREST, LINEAR, CUBIC; received 'AREA'"),
            ({"antialias": "no"}, "antialias must be True or False; received 'no'"),
        ],
    ),
    Case("Resample", Resample(type="CUBIC"), [SHAPE, LIKE]),
    Case("Resample", Resample(7, type="NEAREST"), [SHAPE]),
]


def accum(draft: Draft) -> None:
    a = draft.bottom(4, fits=lambda shape: min(shape[2:]) > 1)
    b = draft.input((a.shapes[0][0], 2, 5, 4), (a.shapes[1][0], 2, 5, 4))
    fields = draft.fields(size_divisible_by=(3, None), have_reference=("true", "false", None))
    draft.add("Accum", [a, b], f"accum_param {{ {fields} }}")


def resized(type: str, fields: str) -> Any:
    """The part of a layer whose size is stated or that of a second bottom."""

    def part(draft: Draft) -> None:
        image = draft.bottom(4)
        if draft.maybe():
            draft.add(type, [image], fields)
        else:
            draft.add(type, [image, draft.input((1, 1, 4, 3), (1, 1, 4, 3))], fields)

    return part


def resample(draft: Draft) -> None:
    more = draft.fields(type=("LINEAR", "CUBIC", "NEAREST", None), antialias=("false", None))
    resized("Resample", f"resample_param {{ height: 5 width: 7 {more} }}")(draft)


PARTS = {
    "Accum": accum,
    "Downsample": resized("Downsample", "downsample_param { top_height: 2 top_width: 3 }"),
    "Resample": resample,
}
ROW = np.float32([1, 2, 4, 8])[None, None, :, None]


def row(layer: Any, values: Any) -> np.ndarray:
    """What becomes of two equal rows of values: the first row of the top."""
    x = np.tile(np.float32(values)[None, None, :, None], (1, 2, 1, 1))
    return np.asarray(layer(x))[0, 0, :, 0]


def test_kernels_widen_where_an_image_shrinks() -> None:
    values = [1, 2, 4, 8, 16, 32]
    np.testing.assert_allclose(row(Resample((1, 3), antialias=False), values)[1], 6)  # between 4 and 8
    share = np.array([1, 3, 3, 1]) / 8  # triangles of width 4 around the same place
    np.testing.assert_allclose(row(Resample((1, 3)), values)[1], share @ [2, 4, 8, 16], rtol=1e-6)


def test_half_pixels_are_exchanged() -> None:
    """Columns move by half the factor of the rows."""
    np.testing.assert_array_equal(row(Resample((1, 4), "NEAREST"), [1, 2, 4, 8]), [2, 4, 8, 8])
    np.testing.assert_array_equal(row(Resample((2, 4), "NEAREST"), [1, 2, 4, 8]), [1, 2, 4, 8])


def test_missing_pixels_do_not_count() -> None:
    np.testing.assert_allclose(row(Downsample((2, 3)), [1, 2, 4, 8, 16]), [1.333333, 4.5, 13.333333], rtol=1e-6)
    found = row(Downsample((2, 3)), [1, 2, 4, np.nan, 16])
    np.testing.assert_allclose(found, [1.333333, (2 / 2 + 4) / 1.5, 16], rtol=1e-6)
    assert np.isnan(row(Downsample((2, 3)), [1, 2, np.nan, np.nan, 16])[1])
    np.testing.assert_array_equal(row(Downsample((2, 4)), [1, np.nan, 4, np.inf]), [1, np.nan, 4, np.inf])


def test_open_sizes() -> None:
    x = np.random.default_rng(0).normal(size=(1, 6, 9, 2)).astype("float32")
    like = np.zeros((1, 4, 13, 1), "float32")
    for layer in (Resample(type="CUBIC"), Downsample(), Accum(have_reference=True)):
        inputs = [keras.Input((None, None, 2)), keras.Input((None, None, 1))]
        model = keras.Model(inputs, layer(inputs))
        assert model.output_shape == (None, None, None, 2)
        np.testing.assert_allclose(model([x, like]), layer([x, like]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("param", "shapes", "top"),
    [
        ("", [(2, 1, 4, 7), (2, 2, 6, 3)], (2, 3, 6, 7)),
        ("size_divisible_by: 4", [(2, 1, 4, 7), (2, 2, 6, 3)], (2, 3, 8, 8)),
        ("size_divisible_by: 4", [(2, 1, 4, 8), (2, 2, 6, 3)], (2, 3, 6, 8)),  # not larger in both directions
        ("top_height: 9 top_width: 7", [(2, 1, 4, 7)], (2, 1, 4, 7)),
        ("top_height: 9 top_width: 8", [(2, 1, 4, 7)], (2, 1, 9, 8)),
        ("have_reference: true", [(2, 1, 4, 7), (2, 2, 3, 2)], (2, 1, 3, 2)),
    ],
)
def test_the_size_of_accum(param: str, shapes: list[Any], top: tuple[int, ...]) -> None:
    assert tops(f'type: "Accum" accum_param {{ {param} }}', *shapes) == [top]


@pytest.mark.parametrize(
    ("text", "shapes", "error", "reason"),
    [
        ('"Resample"', [(1, 1, 4, 4)], LayerError, "height is missing"),
        ('"Resample" resample_param { type: AREA width: 2 height: 2 }', [(1, 1, 4, 4)], LayerError, "no type AREA"),
        ('"Resample" resample_param { width: 2 height: 2 }', [(1, 1, 4)], ShapeError, "needs bottoms with 4 axes"),
        ('"Downsample"', [(1, 1, 4, 4)], LayerError, "must be a whole number of at least 1; received 0"),
        ('"Downsample" downsample_param { top_height: 1 top_width: 2 }', [(1, 1, 4, 4)], ShapeError, "a single row"),
        ('"Accum" accum_param { have_reference: true }', [(1, 1, 4, 4)], ShapeError, "nothing beside its reference"),
        ('"Accum" accum_param { have_reference: true }', [(1, 1, 4, 4), (1, 1, 1, 2)], ShapeError, "a single row"),
        ('"Accum"', [(1, 1, 4, 4), (2, 1, 4, 4)], ShapeError, "must have one batch size"),
    ],
)
def test_refused(text: str, shapes: list[Any], error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason):
        tops(f"type: {text}", *shapes)


def test_one_size_only() -> None:
    with pytest.raises(
        LayerError, match="the size of Resample; expected either a size or a second bottom; received both"
    ):
        Resample(3)([ROW, ROW])
    with pytest.raises(LayerError, match="the size of Downsample; .* received none"):
        Downsample()(ROW)
