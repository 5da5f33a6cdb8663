"""Keras's operators and functions of `keras.ops` as Caffe layers: of values of the net, and of values and numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from keras import tree

from keras_caffe.converters.plain import activations, vectors
from keras_caffe.converters.plain.draft import Draft, DraftValue, Handler, Inexpressible

Line = tuple[float, float]
"""(a, b) of a x + b, where x is the value of the net; a number is (0, b)."""

LINES: dict[str, Callable[[Line, Line], Line]] = {
    "Add": lambda one, other: (one[0] + other[0], one[1] + other[1]),
    "Subtract": lambda one, other: (one[0] - other[0], one[1] - other[1]),
    "Multiply": lambda one, other: (one[0] * other[1] + one[1] * other[0], one[1] * other[1]),
    "Divide": lambda one, other: (one[0] / other[1], one[1] / other[1]),
}
LINES["TrueDivide"] = LINES["Divide"]


def operation(draft: Draft, keras_operation: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> DraftValue:
    """Adds what an operation computes. Raises Inexpressible: Caffe has no such layer, or not with these arguments."""
    kind, given = type(keras_operation).__name__, tree.flatten((args, kwargs))
    values = [one for one in given if isinstance(one, DraftValue)]
    if len(values) == len(given) and kind in OPERATIONS:
        return OPERATIONS[kind](draft, keras_operation, values)
    if len(values) == 1 and len(given) == 2 and kind in LINES:
        return _line(draft, kind, keras_operation.name, given)
    others = [_named(one) for one in given if not isinstance(one, DraftValue)]
    raise Inexpressible(f"of {others[0]}, which is no value of the net" if others else "Caffe has no such layer")


def _line(draft: Draft, kind: str, name: str, given: Sequence[Any]) -> DraftValue:
    one, other = ((1.0, 0.0) if isinstance(term, DraftValue) else (0.0, _number(term)) for term in given)
    if kind in ("Divide", "TrueDivide") and not other[1]:
        raise Inexpressible("a division by a value of the net, or by 0")
    scale, shift = LINES[kind](one, other)
    value = next(term for term in given if isinstance(term, DraftValue))
    return draft.like("Power", name, value, power_param={"scale": scale, "shift": shift})


def _number(given: Any) -> float:
    if isinstance(given, str) or np.shape(given):
        raise Inexpressible(f"of {_named(given)}, where Caffe has a layer for one number")
    return float(given)


def _named(given: Any) -> str:
    shape = np.shape(given)
    return f"an array of shape {shape}" if shape else repr(given)


OPERATIONS: dict[str, Handler] = {
    **{kind: vectors.HANDLERS[kind] for kind in ("Add", "Subtract", "Multiply", "Maximum", "Concatenate")},
    "Softmax": activations.softmax_layer,
}
