"""What constructors check and normalise, so that `layers.X(...)` and a prototxt mean and refuse the same.

Each function takes an argument's name, for the error, and its value, and returns the value as configs keep it. Losses,
metrics and optimizers say with `error` which class they raise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
from keras import initializers

from keras_caffe import fillers
from keras_caffe.errors import CaffeError, LayerError, instead
from keras_caffe.shapes import canonical_axis

Checked = TypeVar("Checked")


def one_of(name: str, value: Any, choices: Sequence[str], error: type[CaffeError] = LayerError) -> str:
    """The choice that `value` names, as `choices` spells it; case does not matter."""
    spelling = {choice.lower(): choice for choice in choices}
    if isinstance(value, str) and value.lower() in spelling:
        return spelling[value.lower()]
    fix = instead([value], choices).get("fix")
    raise error(f"unknown {name}", expected=f"one of {', '.join(choices)}", received=repr(value), fix=fix)


def flag(name: str, value: Any, error: type[CaffeError] = LayerError) -> bool:
    """True or False; 1 and 0 would do."""
    if isinstance(value, (Integral, np.bool_)) and value in (0, 1):
        return bool(value)
    raise error(f"{name} must be True or False", received=repr(value))


def whole(
    name: str, value: Any, least: int | None = None, most: int | None = None, error: type[CaffeError] = LayerError
) -> int:
    """A whole number from `least` to `most`, both included."""
    if _is_number(value, Integral) and _within(value, least, most):
        return int(value)
    raise error(f"{name} must be a whole number{_range(least, most)}", received=repr(value))


def number(
    name: str,
    value: Any,
    least: float | None = None,
    most: float | None = None,
    *,
    above: float | None = None,
    error: type[CaffeError] = LayerError,
) -> float:
    """A number from `least` to `most`, both included, and greater than `above`."""
    if _is_number(value, Real) and _within(value, least, most) and (above is None or value > above):
        return float(value)
    raise error(f"{name} must be a number{_range(least, most, above)}", received=repr(value))


def optional(check: Callable[..., Checked], name: str, value: Any, *bounds: Any, **more: Any) -> Checked | None:
    """None, or what `check`, one of the functions here, makes of the value."""
    return None if value is None else check(name, value, *bounds, **more)


def items(value: Any, times: int = 1) -> tuple[Any, ...]:
    """The items of a sequence; what is none, so many times."""
    alone = isinstance(value, (str, bytes)) or not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0
    return (value,) * times if alone else tuple(value)


def wholes(name: str, value: Any, least: int | None = None, **error: Any) -> tuple[int, ...]:
    """Any number of whole numbers, each as for `whole`; one alone need not stand in a tuple."""
    return tuple(whole(name, item, least, **error) for item in items(value))


def numbers(name: str, value: Any, **bounds: Any) -> tuple[float, ...]:
    """Any number of numbers, each as for `number`; one alone need not stand in a tuple."""
    return tuple(number(name, item, **bounds) for item in items(value))


def per_axis(name: str, value: Any, axes: int, least: int = 0) -> tuple[int, ...]:
    """One whole number for each of so many axes; one alone counts for all of them."""
    return tuple(whole(name, item, least) for item in each_axis(name, value, axes))


def each_axis(name: str, value: Any, axes: int) -> tuple[Any, ...]:
    """One value for each of so many axes, of any kind; one alone counts for all of them."""
    given = items(value, axes)
    if len(given) != axes:
        raise LayerError(f"{name} must be given once or once per axis", expected=f"1 or {axes} values", received=value)
    return given


def distinct_axes(name: str, value: Any, rank: int | None = None) -> tuple[int, ...]:
    """Tensor axes, of which none comes twice; counted from the front where the tensor's rank is given."""
    axes = wholes(name, value)
    if rank is not None:
        axes = tuple(canonical_axis(axis, rank, name) for axis in axes)
    if len(set(axes)) < len(axes):
        raise LayerError(f"{name} names an axis twice", received=axes)
    return axes


def square(name: str, value: Any, error: type[CaffeError] = LayerError) -> list[list[float]]:
    """K rows of K numbers."""
    try:
        rows = np.asarray(value, float)
    except (TypeError, ValueError):
        rows = np.empty(0)
    if rows.ndim != 2 or rows.shape[0] != rows.shape[1]:
        raise error(f"{name} must be K rows of K numbers", received=f"shape {rows.shape}")
    return rows.tolist()


def filler(name: str, value: Any) -> fillers.Filler:
    """A filler (see `keras_caffe.fillers`) as a dict with the type in Caffe's spelling, or a Keras initializer.

    Case does not matter in a type alone. In a dict it does, as in a file's message, which Caffe would refuse.
    """
    if isinstance(value, initializers.Initializer):
        return value
    spec = {"type": value} if isinstance(value, str) else value
    if not isinstance(spec, Mapping):
        raise LayerError(
            f"{name} is not a filler", expected="a type, a dict or a Keras initializer", received=repr(value)
        )
    if "class_name" in spec:  # as Keras saves an initializer
        return initializers.get(dict(spec))
    spec = {"type": "constant", **spec}
    kind = spec.pop("type")
    kind = one_of(f"filler type of {name}", kind, fillers.TYPES) if isinstance(value, str) else kind
    known = fillers.defaults()
    fields = {one_of(f"field of {name}", field, [*known, "seed"]): spec[field] for field in spec}
    checked = {field: _filler_field(f"{field} of {name}", fields[field], known.get(field)) for field in fields}
    fillers.get({"type": kind, **checked})  # refuses fields that contradict each other
    return {"type": kind, **checked}


def _filler_field(name: str, value: Any, default: Any) -> Any:
    """A field's value, checked by the type of its default, which only `seed` lacks: Caffe does not have it."""
    if isinstance(default, str):
        return one_of(name, value, ("FAN_IN", "FAN_OUT", "AVERAGE"))
    if default is None:
        return optional(whole, name, value, 0)
    return number(name, value) if isinstance(default, float) else whole(name, value)


def _is_number(value: Any, kind: type) -> bool:
    """True and False are whole numbers to Python, but not to a reader of `Convolution(True, 3)`."""
    return isinstance(value, kind) and not isinstance(value, bool)


def _within(value: Any, least: float | None, most: float | None) -> bool:
    return (least is None or value >= least) and (most is None or value <= most)


def _range(least: float | None, most: float | None, above: float | None = None) -> str:
    bounds = {"of at least": least, "above": above, "of at most": most}
    return " and".join(f" {words} {bound}" for words, bound in bounds.items() if bound is not None)
