"""Values as Python writes them."""

from __future__ import annotations

import re
from itertools import groupby
from typing import Any

import numpy as np

from keras_caffe.code.statements import Ref
from keras_caffe.errors import ExportError

LONGEST, MOST_RUNS = 64, 4


def text_of(value: Any, names: Any) -> str:
    """A value as Python writes it.

    Args:
        value: numbers, strings, arrays, references and structures of them.
        names: {key of a value: its variable}.
    """
    if isinstance(value, Ref):
        return names[value.key]
    if isinstance(value, np.ndarray):
        return array_text(value)
    if isinstance(value, (tuple, list)):
        inner = ", ".join(text_of(item, names) for item in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' if len(value) == 1 else ''})"
    if isinstance(value, float):
        return number(value)
    return string(value) if isinstance(value, str) else repr(value)


def index_text(key: Any, names: Any) -> str:
    """What stands between the brackets of x[...]; whole axes at the end are left out."""
    parts = list(key) if isinstance(key, tuple) else [key]
    while len(parts) > 1 and parts[-1] == slice(None) and Ellipsis not in parts:
        parts.pop()
    text = ", ".join(_part(part, names) for part in parts) or "()"
    return f"{text}," if isinstance(key, tuple) and len(parts) == 1 else text


def _part(part: Any, names: Any) -> str:
    if part is Ellipsis:
        return "..."
    if not isinstance(part, slice):
        return text_of(part, names)
    start, stop, step = ("" if x is None else text_of(x, names) for x in (part.start, part.stop, part.step))
    return f"{start}:{stop}:{step}" if step else f"{start}:{stop}"


def number(value: float) -> str:
    """The shortest decimal that is the same number in single precision, in which nets are written and compute."""
    if not np.isfinite(value):
        return "np.nan" if np.isnan(value) else "np.inf" if value > 0 else "-np.inf"
    with np.errstate(over="ignore"):
        single = np.float32(value)
    return repr(float(str(single)) if np.isfinite(single) else value).replace("e+", "e")


def string(text: str) -> str:
    """A string literal of ASCII, in the quotes of which fewer are in the text, as formatters want it."""
    quote = _quote(text)
    return f"{quote}{_escaped(text, quote)}{quote}"


def _quote(text: str) -> str:
    return "'" if text.count('"') > text.count("'") else '"'


def _escaped(text: str, quote: str) -> str:
    return text.encode("unicode_escape").decode().replace(quote, f"\\{quote}")


def plain_text(text: str) -> str:
    """A text from a file as it can stand in a docstring."""
    return re.sub(r"[^\w .,:()/+\-]", "_", text, flags=re.ASCII)


def f_string(before: str, parameter: str, after: str) -> str:
    """A formatted string literal with the parameter between two texts."""
    quote = _quote(before + after)
    first, last = (_escaped(text, quote).replace("{", "{{").replace("}", "}}") for text in (before, after))
    return f"f{quote}{first}{{{parameter}}}{last}{quote}"


def array_text(array: np.ndarray) -> str:
    """An expression that makes the array. Raises ExportError if only its numbers would do, and they are many."""
    if array.ndim == 0:
        return text_of(array.item(), {})
    if array.size == 0:
        return f"np.zeros({array.shape}, {string(array.dtype.name)})"
    found = next(filter(None, (text(array) for text in PATTERNS)), "")
    if found or array.size <= LONGEST:
        return found or f"np.array({text_of(array.tolist(), {})}, {string(array.dtype.name)})"
    raise ExportError("code would be full of numbers", expected=f"arrays of at most {LONGEST}", received=array.size)


def _constant(array: np.ndarray) -> str:
    if array.size < 2 or not (array == array.flat[0]).all():
        return ""
    return f"np.full({array.shape}, {text_of(array.flat[0].item(), {})}, {string(array.dtype.name)})"


def _triangle(array: np.ndarray) -> str:
    """Of ones below and on a diagonal, and zeros above it."""
    if array.ndim != 2 or min(array.shape) < 2:
        return ""
    rows, columns = array.shape
    reach = int(np.count_nonzero(array[0])) - 1 if array[0, 0] else int(np.count_nonzero(array[:, 0])) - rows
    if not np.array_equal(array, np.tri(rows, columns, reach)):
        return ""
    return f"np.tri({rows}, {columns}, {reach}, {string(array.dtype.name)})"


def _band(array: np.ndarray) -> str:
    """Of a matrix that has one value around its diagonal and zeros elsewhere, as LRN multiplies by."""
    if array.ndim != 2 or array.shape[0] != array.shape[1] or len(array) < 2 or not array[0, 0]:
        return ""
    rows, reach = len(array), int(np.count_nonzero(array[0])) - 1
    near = np.tri(rows, k=reach) * np.tri(rows, k=reach).T
    if array.dtype != np.float32 or not np.array_equal(array, array[0, 0] * near.astype("float32")):
        return ""
    both = f"np.tri({rows}, k={reach}) * np.tri({rows}, k={reach}).T"
    return f'np.float32({number(array[0, 0].item())}) * ({both}).astype("float32")'


def _outer(array: np.ndarray) -> str:
    """Of a product of a column and a row, as the divisors of averages are."""
    if array.dtype != np.float32 or array.ndim != 3 or array.shape[2] != 1 or 0 in array.shape or not array[0, 0, 0]:
        return ""
    column, row = array[:, 0, 0] / array[0, 0, 0], array[0, :, 0]
    texts = _runs(column), _runs(row)
    if "" in texts or not np.array_equal(np.outer(column, row).astype("float32"), array[:, :, 0]):
        return ""
    return f'np.outer({", ".join(texts)})[:, :, None].astype("float32")'


def _steps(array: np.ndarray) -> str:
    """Of whole numbers that rise by the same step."""
    flat = array.ravel()
    if array.dtype.kind not in "iuf" or len(flat) < 3 or not np.isfinite(flat[:2]).all() or flat[1] <= flat[0]:
        return ""
    start, step = int(flat[0]), int(flat[1]) - int(flat[0])
    given = (start, start + step * len(flat), step)
    if not step or not np.array_equal(flat, np.arange(*given)):
        return ""
    shape = f".reshape({array.shape})" if array.ndim > 1 else ""
    return f"np.arange({', '.join(map(str, given))}, dtype={string(array.dtype.name)}){shape}"


def _runs_of(array: np.ndarray) -> str:
    """Of few runs of equal values."""
    if array.size <= LONGEST:
        return ""
    runs = [(value, len(list(run))) for value, run in groupby(array.ravel().tolist())]
    if 2 * len(runs) > LONGEST:
        return ""
    values = array_text(np.array([value for value, _ in runs], array.dtype))
    counts = text_of([count for _, count in runs], {})
    return f"np.reshape(np.repeat({values}, {counts}), {array.shape})"


def _product(array: np.ndarray) -> str:
    """Of what holds where it holds for both the first and the second axis, as windows that meet an image do."""
    if array.size <= LONGEST or array.ndim < 2 or array.dtype != bool or 1 in array.shape[:2]:
        return ""
    first, second = (np.any(array, axis, keepdims=True) for axis in (1, 0))
    if not np.array_equal(first & second, array):
        return ""
    return f"np.logical_and({array_text(first)}, {array_text(second)})"


def _repeated(array: np.ndarray) -> str:
    """Of one that is the same all along some axes."""
    if array.size <= LONGEST:
        return ""
    small = array
    for axis in range(array.ndim):
        first = small.take([0], axis)
        small = first if (small == first).all() else small
    return f"np.broadcast_to({array_text(small)}, {array.shape})" if small.size < array.size else ""


def _runs(values: np.ndarray) -> str:
    """A list as a sum of a few that have one value each; nothing where they are many."""
    runs = [list(run) for _, run in groupby(values.tolist())]
    texts = [f"[{number(run[0])}] * {len(run)}" if len(run) > 1 else f"[{number(run[0])}]" for run in runs]
    return " + ".join(texts) if len(runs) <= MOST_RUNS else ""


PATTERNS = (_constant, _triangle, _band, _steps, _outer, _repeated, _runs_of, _product)
"""Functions array -> its expression, or nothing"""
