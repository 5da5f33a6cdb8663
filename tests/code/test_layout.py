"""Lines of code as ruff format breaks them, loops, and values as texts."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from keras_caffe.code.layout import fitted
from keras_caffe.code.literals import array_text, f_string, index_text, string, text_of
from keras_caffe.code.loops import looped
from keras_caffe.errors import ExportError

LONG = [f"a_rather_long_argument_{number}" for number in range(6)]
TEXTS = ["a", 'a"b', "a'b", "a\"'b", "\\", "\\'", 'a\\"b', "\xe9\n\0", "{x}", "\U0001f600", "}{"]
ARRAYS = [
    np.float32(0.1),
    np.full((2, 3), -np.inf, "float32"),
    np.arange(200, dtype="int32"),
    np.arange(3, 700, 7).reshape(10, 1, 10).astype("float32"),
    np.tri(100, 90, -3, dtype=bool),
    np.float32(0.2) * (np.tri(9, k=2) * np.tri(9, k=2).T).astype("float32"),
    np.outer([1.0] * 5, [1.5] + [1.0] * 20)[:, :, None].astype("float32"),
    np.broadcast_to(np.float32([1, 5, 2])[:, None], (3, 99)),
    np.array([[True, False], [False, True]]),
    np.float32([np.nan, 1e38, -np.inf, 1e-7]),
    np.array([1, 1, 0, 1, 1], bool).reshape(5, 1, 1),
    np.arange(1, 5).reshape(1, 4, 1) % 3,
    np.zeros((0, 3), "float32"),
    np.array([1e300, 2.0]),
]


@pytest.mark.parametrize(
    "line",
    [
        f"x = layers.Conv2D({', '.join(LONG)})(x)",
        f"x = layers.Concatenate()([{', '.join(LONG)}])",
        f"return keras.Model(data, {{{', '.join(f'{name!r}: {name}' for name in LONG)}}})".replace("'", '"'),
        f"n.a = L.Convolution(n.b, param=[dict(x=[{', '.join(LONG)}]), dict(y=2)], weight_filler=dict(z={LONG[0]}))",
        f"expected = [{', '.join(['(None, 28, 28, 3)'] * 9)}]",
        f'x = f("(, {"x" * 100}", {LONG[0]})',
    ],
)
def test_lines_are_broken_as_ruff_breaks_them(line: str) -> None:
    text = "\n".join(["def f():", *fitted(line), ""])
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length", "120", "-"]
    assert subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout == text


@pytest.mark.parametrize("text", TEXTS)
def test_texts_are_read_as_they_were(text: str) -> None:
    assert eval(string(text)) == text
    assert string(text).isascii()
    assert eval(f_string(text, "n", text), {"n": 5}) == f"{text}5{text}"


@pytest.mark.parametrize("array", ARRAYS, ids=range(len(ARRAYS)))
def test_arrays_are_read_as_they_were(array: Any) -> None:
    text = array_text(np.asarray(array))
    again = np.asarray(eval(text, {"np": np}), None if array.ndim else array.dtype)  # one number is written as Python's
    np.testing.assert_array_equal(again, array)
    assert again.dtype == array.dtype
    assert len(text) < 120


def test_arrays_of_many_numbers_are_refused() -> None:
    with pytest.raises(ExportError, match="full of numbers"):
        array_text(np.random.default_rng(0).random(100))


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ((slice(None), slice(1, 3), slice(None)), ":, 1:3"),
        ((slice(None, 1),), ":1,"),
        ((Ellipsis, 0), "..., 0"),
        ((0, None, slice(None, None, -1)), "0, None, ::-1"),
        (3, "3"),
    ],
)
def test_indices(key: Any, text: str) -> None:
    assert index_text(key, {}) == text


def test_numbers() -> None:
    assert text_of((0.1, 1, True, None, -np.inf, float(np.float32(0.3))), {}) == "(0.1, 1, True, None, -np.inf, 0.3)"


def test_statements_that_repeat_are_loops() -> None:
    lines = ["a = g()", *["x = f(x)", "x = h(x, a)"] * 3, *[f'x = c(x, "b{n}", 2)' for n in range(9, 12)], "y = x"]
    assert looped(lines) == [
        "    a = g()",
        "    for _ in range(3):",
        "        x = f(x)",
        "        x = h(x, a)",
        "    for number in range(9, 12):",
        '        x = c(x, f"b{number}", 2)',
        "    y = x",
    ]
    assert looped(["x = f(x)"] * 2) == ["    x = f(x)"] * 2
