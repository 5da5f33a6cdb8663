"""A functional model of Keras's own layers as a list of statements, one a call."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from keras_caffe.errors import ExportError

POSITIONAL = ("filters", "units", "kernel_size", "pool_size", "rate", "padding", "cropping", "axis", "input_dim")
LONGEST = 64
DROPPED = {"name", "trainable", "dtype", "data_format", "batch_input_shape"}


@dataclass(frozen=True)
class Ref:
    """A value of the model where a statement uses it."""

    key: int


@dataclass(frozen=True)
class Statement:
    """One call.

    Args:
        key: of the value that it makes.
        callee: "layers.Conv2D", or "ops.pad".
        arguments: (keyword or "", value) of the layer's constructor or the operation; values may be `Ref`s.
        inputs: what the layer is called on; None for operations, whose inputs are among the arguments.
        name: of the layer, "" for operations.
    """

    key: int
    callee: str
    arguments: tuple[tuple[str, Any], ...]
    inputs: Any
    name: str

    def refs(self) -> Iterator[int]:
        for value in tree.flatten((self.inputs, [value for _, value in self.arguments])):
            if isinstance(value, Ref):
                yield value.key


def statements(model: keras.Model) -> list[Statement]:
    """What computes the model's outputs, branch by branch."""
    found: list[Statement] = []
    seen: set[int] = set()
    todo = list(reversed(model.outputs))
    while todo:
        tensor = todo[-1]
        operation, index, number = tensor._keras_history
        node = operation._inbound_nodes[index]
        missing = [x for x in node.input_tensors if id(x) not in seen]
        if id(tensor) in seen or not node.input_tensors or not missing:
            todo.pop()
        if id(tensor) in seen or not node.input_tensors:
            seen.add(id(tensor))
        elif missing:
            todo += reversed(missing)
        else:
            if len(node.output_tensors) > 1:
                raise ExportError(f"{operation.name!r} makes several values, which code cannot be written for yet")
            seen.add(id(tensor))
            found.append(_statement(operation, node, id(tensor)))
    return found


def _statement(operation: Any, node: Any, key: int) -> Statement:
    if isinstance(operation, keras.Model):
        raise ExportError(f"{operation.name!r} is a model of its own, which code cannot be written for yet")
    args, kwargs = tree.map_structure(_value, (node.arguments.args, node.arguments.kwargs))
    if isinstance(operation, keras.layers.Layer):
        kind = type(operation).__name__
        return Statement(key, f"layers.{kind}", _layer_arguments(operation), args[0], operation.name)
    kind = type(operation).__name__
    if kind == "GetItem":
        return Statement(key, "[]", (("", args[0]), ("", args[1])), None, "")
    function = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", kind).lower()
    if not hasattr(ops, function):
        raise ExportError(f"the operation {kind} has no function in keras.ops")
    return Statement(key, f"ops.{function}", _operation_arguments(operation, function, args, kwargs), None, "")


def _value(x: Any) -> Any:
    return Ref(id(x)) if isinstance(x, keras.KerasTensor) else x


def _layer_arguments(layer: Any) -> tuple[tuple[str, Any], ...]:
    """What differs from the defaults, the best known first and without keywords."""
    config, defaults = layer.get_config(), inspect.signature(type(layer).__init__).parameters
    given = {}
    for key, value in config.items():
        if key in DROPPED or key not in defaults or _is_object(value):
            continue
        value, kept = _short(value), key in ("kernel_size", "pool_size")
        if kept or value != _short(defaults[key].default):
            given[key] = value
    if given.get("activation") == "linear":
        del given["activation"]
    if "pool_size" in given and given.get("strides") == given["pool_size"]:
        del given["strides"]
    order = [key for key in POSITIONAL if key in given and _leads(key, layer)]
    return (*(("", given.pop(key)) for key in order), *given.items())


def _leads(key: str, layer: Any) -> bool:
    """Whether an argument is among the first of the constructor, up to the second."""
    return key in list(inspect.signature(type(layer).__init__).parameters)[1:3] and key != "strides"


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and "class_name" in value


def _short(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        value = tuple(_short(item) for item in value)
        return value[0] if value and all(item == value[0] for item in value) and len(value) > 1 else value
    return value


def _operation_arguments(operation: Any, function: str, args: Any, kwargs: Any) -> tuple[tuple[str, Any], ...]:
    parameters = inspect.signature(getattr(ops, function)).parameters
    config = {key: value for key, value in operation.get_config().items() if key in parameters and key != "name"}
    if function == "pad":
        config["pad_width"] = tuple(map(tuple, operation.pad_width))
    given = {k: v for k, v in {**config, **kwargs}.items() if v is not None and not _same(v, parameters[k].default)}
    first = next(iter(given), "")
    positional = first in ("newshape", "axes", "pad_width")
    return (*(("", arg) for arg in args), *(("" if k == first and positional else k, v) for k, v in given.items()))


def _same(value: Any, default: Any) -> bool:
    return not isinstance(value, (Ref, np.ndarray)) and value == default


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
    if isinstance(value, slice):
        parts = [value.start, value.stop, value.step]
        return f"slice({', '.join(map(repr, parts))})"
    if isinstance(value, (tuple, list)):
        inner = ", ".join(text_of(item, names) for item in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' if len(value) == 1 else ''})"
    if isinstance(value, float):
        return _number(value)
    return string(value) if isinstance(value, str) else repr(value)


def _number(value: float) -> str:
    """The shortest decimal that is the same number in single precision, in which nets are written and compute."""
    short = float(str(np.float32(value)))
    return repr(short if np.float32(short) == np.float32(value) else value)


def string(text: str) -> str:
    """A string literal, with double quotes as formatters want them, and nothing but ASCII."""
    plain = ascii(text)
    return f'"{plain[1:-1]}"' if '"' not in plain and "\\'" not in plain else plain


def array_text(array: np.ndarray) -> str:
    """An expression that makes the array. Raises ExportError if only its numbers would do, and they are many."""
    if array.ndim == 0:
        return repr(array.item())
    if array.ndim == 2 and (band := _band(array)):
        return band
    if array.ndim == 3 and array.shape[2] == 1 and (outer := _outer(array[:, :, 0])):
        return outer
    if array.size and (array == array.flat[0]).all():
        return f"np.full({array.shape}, {array.flat[0].item()!r}, {string(array.dtype.name)})"
    if array.size > LONGEST:
        raise ExportError("code would be full of numbers", expected=f"arrays of at most {LONGEST}", received=array.size)
    return f"np.array({array.tolist()}, {string(array.dtype.name)})"


def _band(array: np.ndarray) -> str:
    """Of a matrix that has one value around its diagonal and zeros elsewhere, as LRN multiplies by."""
    rows, columns = array.shape
    if rows != columns or rows < 2 or not array[0, 0]:
        return ""
    reach = int(np.count_nonzero(array[0])) - 1
    index = np.arange(rows)
    near = np.abs(index[:, None] - index) <= reach
    if not np.array_equal(array, (near * array[0, 0]).astype(array.dtype)):
        return ""
    near_text = f"np.tri({rows}, k={reach}) * np.tri({rows}, k={reach}).T"
    return f'np.float32({_number(array[0, 0].item())}) * ({near_text}).astype("float32")'


def _outer(array: np.ndarray) -> str:
    """Of a product of a column and a row, as the divisors of averages are."""
    column, row = array[:, 0] / array[0, 0], array[0]
    if not np.array_equal(np.outer(column, row).astype("float32"), array):
        return ""
    made = f"np.outer({_runs(column)}, {_runs(row)})"
    return f'{made}[:, :, None].astype("float32")'


def _runs(values: Sequence[Any]) -> str:
    runs: list[list[Any]] = []
    for value in np.asarray(values).tolist():
        if runs and runs[-1][0] == value:
            runs[-1][1] += 1
        else:
            runs.append([value, 1])
    return " + ".join(f"[{value!r}] * {count}" if count > 1 else f"[{value!r}]" for value, count in runs)
