"""A functional model of Keras's own layers as a list of statements, one a call."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from keras_caffe.errors import ExportError
from keras_caffe.plain.site import Part

POSITIONAL = ("filters", "units", "kernel_size", "pool_size", "rate", "padding", "cropping", "axis", "input_dim")
DROPPED = {"name", "trainable", "dtype", "data_format", "batch_input_shape"}


@dataclass(frozen=True)
class Ref:
    """A value of the model where a statement uses it."""

    key: int


@dataclass(frozen=True)
class Statement:
    """One call.

    Args:
        keys: of the values that it makes.
        callee: "layers.Conv2D", "ops.pad", "[]", or the variable that holds a model or a layer.
        arguments: (keyword or "", value) of the layer's constructor or the operation; values may be `Ref`s.
        inputs: what the layer is called on; None for operations, whose inputs are among the arguments.
        title: the name of the layer or the operation.
        several: whether the call gives a sequence of values.
        held: the nested model, or the layer of several calls, which a variable holds.
        function: what calls the held layer, a function that stands in the file; its arguments are the inputs.
    """

    keys: tuple[int, ...]
    callee: str
    arguments: tuple[tuple[str, Any], ...]
    inputs: Any
    title: str
    several: bool = False
    held: Any = None
    function: Any = None

    @property
    def key(self) -> int:
        return self.keys[0]

    @property
    def name(self) -> str:
        """What the call names; operations have no such argument."""
        return self.title if self.callee.startswith("layers.") else ""

    def refs(self) -> Iterator[int]:
        for value in tree.flatten((self.inputs, [value for _, value in self.arguments])):
            if isinstance(value, Ref):
                yield value.key


def statements(model: keras.Model, parts: Mapping[int, Part] | None = None) -> list[Statement]:
    """What computes the model's outputs, branch by branch; `parts` are calls of functions."""
    parts = parts or {}
    found: list[Statement] = []
    seen: set[int] = set()
    todo = list(reversed(model.outputs))
    while todo:
        tensor = todo[-1]
        operation, index, number = tensor._keras_history
        node = operation._inbound_nodes[index]
        part = parts.get(id(tensor))
        missing = [x for x in (part.inputs if part else node.input_tensors) if id(x) not in seen]
        if id(tensor) in seen or not node.input_tensors or not missing:
            todo.pop()
        if id(tensor) in seen or not node.input_tensors:
            seen.add(id(tensor))
        elif missing:
            todo += reversed(missing)
        else:
            seen |= {id(x) for x in node.output_tensors}
            found.append(_call(part, id(tensor), operation.name) if part else _statement(operation, node))
    return found


def _call(part: Part, key: int, title: str) -> Statement:
    inputs, name = [_value(x) for x in part.inputs], part.function.__name__
    return Statement((key,), name, (), inputs, title, held=part.layer, function=part.function)


def _statement(operation: Any, node: Any) -> Statement:
    keys, kind = tuple(id(x) for x in node.output_tensors), type(operation).__name__
    args, kwargs = tree.map_structure(_value, (node.arguments.args, node.arguments.kwargs))
    if isinstance(operation, keras.Model):
        return Statement(keys, "", (), args[0], "rounds", held=operation)
    if isinstance(operation, keras.layers.Layer):
        if len(operation._inbound_nodes) > 1:
            return Statement(keys, "", (), args[0], operation.name, held=operation)
        return replace(construction(operation), keys=keys, inputs=args[0])
    if kind == "GetItem":
        return Statement(keys, "[]", (("", args[0]), ("", args[1])), None, operation.name)
    function = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", kind).lower()
    if not hasattr(ops, function):
        raise ExportError(f"the operation {kind} has no function in keras.ops")
    arguments = _operation_arguments(operation, function, args, kwargs)
    spec = operation.compute_output_spec(*node.arguments.args, **node.arguments.kwargs)
    return Statement(keys, f"ops.{function}", arguments, None, operation.name, isinstance(spec, (list, tuple)))


def construction(layer: keras.layers.Layer) -> Statement:
    """The layer alone, called on nothing."""
    return Statement((), f"layers.{type(layer).__name__}", _layer_arguments(layer), None, layer.name)


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
    """One number for equal ones; pairs (before, after) of which one has two different numbers stay pairs."""
    if not isinstance(value, (list, tuple)):
        return value
    short = tuple(_short(item) for item in value)
    if any(isinstance(item, tuple) for item in short):
        return tuple(tuple(item) if isinstance(item, (list, tuple)) else item for item in value)
    return short[0] if len(short) > 1 and all(item == short[0] for item in short) else short


def _operation_arguments(operation: Any, function: str, args: Any, kwargs: Any) -> tuple[tuple[str, Any], ...]:
    parameters = inspect.signature(getattr(ops, function)).parameters
    config = {key: value for key, value in operation.get_config().items() if key in parameters and key != "name"}
    if function == "pad":
        config["pad_width"] = tuple(map(tuple, operation.pad_width))
    given = {k: v for k, v in {**config, **kwargs}.items() if v is not None and not _same(v, parameters[k].default)}
    first = next(iter(given), "")
    positional = first in ("newshape", "axes", "pad_width")
    before = [given.pop("subscripts")] if "subscripts" in given else []  # einsum's come first.
    last = (("" if key == first and positional else key, value) for key, value in given.items())
    return (*(("", arg) for arg in [*before, *args]), *last)


def _same(value: Any, default: Any) -> bool:
    return not isinstance(value, (Ref, np.ndarray)) and value == default
