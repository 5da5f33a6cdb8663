"""Correlation and Correlation1D: against the sum that defines them, for settings that their arrays do not have."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers import Correlation, Correlation1D
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import tops
from tests.random_nets.draft import Draft

REFUSED = [
    ({"kernel_size": 2}, "kernel_size must be odd; received 2"),
    ({"max_displacement": -1}, "max_displacement must be a whole number of at least 0; received -1"),
    ({"pad": 0.5}, "pad must be a whole number of at least 0; received 0.5"),
    ({"stride_1": 0}, "stride_1 must be a whole number of at least 1; received 0"),
    ({"stride_2": 0}, "stride_2 must be a whole number of at least 1; received 0"),
    ({"correlation_type": "ADD"}, "unknown correlation_type; expected one of MULTIPLY, SUBTRACT"),
]
SINGLE_DIRECTION = ({"single_direction": 2}, "single_direction must be a whole number of at least -1 and of at most 1")
CASES = [
    Case("Correlation", Correlation(1, 2, pad=2, stride_2=2), [SHAPE, SHAPE], refused=REFUSED),
    Case("Correlation", Correlation(3, 1, pad=2, correlation_type="SUBTRACT"), [SHAPE, SHAPE]),
    Case("Correlation1D", Correlation1D(1, 2, -1, pad=2), [SHAPE, SHAPE], refused=[*REFUSED, SINGLE_DIRECTION]),
]
TEXT = 'type: "%s" correlation_param { %s }'


def correlation(type: str) -> Any:
    """The part of either type; now and then the second map is the first."""

    def part(draft: Draft) -> None:
        a = draft.bottom(4)
        fields = draft.fields(max_displacement=(0, 1, 2), stride_1=(2, None), stride_2=(2, None))
        more = draft.fields(correlation_type=("SUBTRACT", None), single_direction=(-1, 0, 1))
        size = draft.choose(("kernel_size: 1 pad: 2", "kernel_size: 3 pad: 3"))
        draft.add(type, [a, draft.like(a)], f"correlation_param {{ {size} {fields} {more} }}")

    return part


PARTS = {"Correlation": correlation("Correlation"), "Correlation1D": correlation("Correlation1D")}


def expected(layer: Correlation, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The definition, value by value, channels last. To the left of the padded map there are zeros."""
    k, far, margin = layer.kernel_size, layer.max_displacement, 20
    high = 0 if isinstance(layer, Correlation1D) else layer.pad
    a = np.pad(a, [(0, 0), (high, high), (layer.pad,) * 2, (0, 0)])
    b = np.pad(b, [(0, 0), (high, high), (layer.pad + margin, layer.pad), (0, 0)])
    rows, columns = layer.displacements()
    first = -rows[0] if len(rows) == 1 else far
    ys = range(first, a.shape[1] - first - k + 1, layer.stride_1)
    xs = range(far, a.shape[2] - far - k + 1, layer.stride_1)
    displaced = [(dy, dx) for dy in rows for dx in columns]
    y = np.zeros((len(a), len(ys), len(xs), len(displaced)))
    for (i, top), (j, left), (d, (dy, dx)) in itertools.product(*map(enumerate, (ys, xs, displaced))):
        window = a[:, top : top + k, left : left + k]
        other = b[:, top + dy : top + dy + k, margin + left + dx : margin + left + dx + k]
        both = np.abs(window - other) if layer.correlation_type == "SUBTRACT" else window * other
        y[:, i, j, d] = both.mean(axis=(1, 2, 3))
    return y


@pytest.mark.parametrize("type", ["MULTIPLY", "SUBTRACT"])
@pytest.mark.parametrize(
    "layer",
    [
        Correlation(3, 4, pad=3, stride_1=2, stride_2=2),
        Correlation(5, 2, pad=4, stride_1=3),
        Correlation(1, 3, pad=1, stride_2=2),
        Correlation1D(3, 2, 0, pad=3, stride_1=2),
        Correlation1D(1, 3, 1, pad=1, stride_2=3),
        Correlation1D(3, 2, -1, pad=2, stride_1=2),
        Correlation1D(1, 4, -1, pad=4, stride_2=2),
        Correlation1D(3, 2, -1, stride_2=2),
    ],
)
def test_it_is_the_sum_that_defines_it(layer: Correlation, type: str) -> None:
    layer = layer.from_config({**layer.get_config(), "correlation_type": type})
    a, b = np.random.default_rng(0).normal(size=(2, 2, 9, 11, 3)).astype("float32")
    y = layer([a, b])
    assert y.shape == layer.compute_output_shape([a.shape, b.shape])
    np.testing.assert_allclose(y, expected(layer, a, b), rtol=1e-5, atol=1e-6)


def test_a_value_that_is_not_finite_stays_where_it_is_read() -> None:
    a, b = np.ones((2, 1, 1, 6, 1), "float32")
    b[0, 0, 5] = np.nan
    y = np.ravel(Correlation1D(1, 1, 0, pad=1)([a, b])).reshape(6, 3)
    np.testing.assert_array_equal(np.argwhere(np.isnan(y)), [[4, 2], [5, 1]])


@pytest.mark.parametrize("type", ["Correlation", "Correlation1D"])
def test_windows_that_reach_beyond_the_map(type: str) -> None:
    param = TEXT % (type, "kernel_size: 3 max_displacement: 4 pad: 2")
    assert tops(param, (1, 3, 7, 7), (1, 3, 7, 7))[0][3] == 1
    with pytest.raises(ShapeError, match=rf"{type} reach beyond the map; expected at least 7 pixels .*; received 6"):
        tops(param, (1, 3, 7, 6), (1, 3, 7, 6))


@pytest.mark.parametrize(
    ("param", "shapes", "error", "reason"),
    [
        ("max_displacement: 1", [(1, 3, 5, 5)] * 2, LayerError, "kernel_size is missing"),
        ("kernel_size: 1", [(1, 3, 5, 5)] * 2, LayerError, "max_displacement is missing"),
        ("kernel_size: 1 max_displacement: 1", [(1, 3, 5, 5), (1, 3, 5, 4)], ShapeError, "must have one shape"),
        ("kernel_size: 1 max_displacement: 1", [(1, 3), (1, 3)], ShapeError, "needs bottoms with 4 axes"),
    ],
)
def test_refused(param: str, shapes: list[Any], error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason):
        tops(TEXT % ("Correlation", param), *shapes)
