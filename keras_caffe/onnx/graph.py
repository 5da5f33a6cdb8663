"""An ONNX graph under construction: nodes and constants, whose tensors get their names at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from keras_caffe.shapes import Shape

Tensor = str
"""A tensor's handle; what it is called in the file is decided in `Graph.named`."""
Operand = Tensor | float | Sequence[int] | np.ndarray | None
"""An input of an operation: a tensor, a constant, or None for an optional one that is left out."""


FLOAT_TYPES = {"float32": 1, "float16": 10}
"""ONNX's numbers of the types"""


class Weight(NamedTuple):
    """Learned values, their name, and how they are stored: "float32" or "float16"."""

    name: str
    values: np.ndarray
    float_type: str


@dataclass(frozen=True)
class Operation:
    """One node. `layer` is the Caffe layer it belongs to."""

    type: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    attributes: Mapping[str, Any]
    layer: str

    @property
    def bodies(self) -> list[Body]:
        return [value for value in self.attributes.values() if isinstance(value, Body)]

    @property
    def reads(self) -> set[Tensor]:
        """What it needs, in its bodies too."""
        return {*self.inputs, *(tensor for body in self.bodies for inner in body.operations for tensor in inner.reads)}


@dataclass
class Body:
    """Operations that another one runs again and again; they may read the tensors around them."""

    inputs: list[Tensor]
    float_type: str
    outputs: list[Tensor] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)


@dataclass
class Graph:
    """What the writers of the layers add to.

    Args:
        opset: ONNX's version of operations.
        layer: the name of the Caffe layer that is being written.
        float_type: "float32" or "float16": what floats are in this layer.
    """

    opset: int
    layer: str = ""
    float_type: str = "float32"
    operations: list[Operation] = field(default_factory=list)
    inputs: dict[Tensor, tuple[str, Shape]] = field(default_factory=dict)
    constants: dict[Tensor, np.ndarray] = field(default_factory=dict)
    weights: dict[Tensor, Weight] = field(default_factory=dict)
    _same: dict[Any, Tensor] = field(default_factory=dict)
    _count: int = 0

    def tensor(self) -> Tensor:
        """A new handle."""
        self._count += 1
        return f"%{self._count}"

    def input(self, name: str, shape: Shape) -> Tensor:
        tensor = self.tensor()
        self.inputs[tensor] = name, shape
        return tensor

    def weight(self, name: str, values: np.ndarray) -> Tensor:
        """Learned values, stored under a name of their own."""
        tensor = self.tensor()
        self.weights[tensor] = Weight(name, values, self.float_type)
        return tensor

    def constant(self, values: Any, dtype: str | None = None) -> Tensor:
        """A constant, stored once. Whole numbers become int64, others float32, unless `dtype` is given."""
        array = np.asarray(values)
        whole = "int64" if array.size and not isinstance(values, np.ndarray) else array.dtype
        with np.errstate(over="ignore"):
            array = array.astype(dtype or (self.float_type if array.dtype.kind == "f" else whole))
        key = array.dtype.str, array.shape, array.tobytes()
        if key not in self._same:
            self._same[key] = self.tensor()
            self.constants[self._same[key]] = array
        return self._same[key]

    def op(self, type: str, *inputs: Operand, outputs: int = 1, **attributes: Any) -> Any:
        """Adds an operation; returns its output, or a tuple of several.

        Args:
            type: ONNX's name.
            *inputs: tensors, numbers, arrays.
            outputs: how many it gives.
            **attributes: ONNX's; those that are None are left out.
        """
        tops = tuple(self.tensor() for _ in range(outputs))
        given = {name: value for name, value in attributes.items() if value is not None}
        self.operations.append(Operation(type, tuple(map(self._operand, inputs)), tops, given, self.layer))
        return tops[0] if outputs == 1 else tops

    def as_float(self, x: Tensor, have: str, want: str) -> Tensor:
        """The same floats in another precision."""
        if have == want:
            return x
        if (x, want) not in self._same:
            self._same[x, want] = self.op("Cast", x, to=FLOAT_TYPES[want])
        return self._same[x, want]

    def size(self, x: Tensor, axis: int) -> Tensor:
        """The size of an axis, as a tensor of one int64."""
        key = x, axis
        if key not in self._same:
            self._same[key] = self.op("Gather", self.op("Shape", x), [axis])
        return self._same[key]

    @contextmanager
    def body(self, inputs: int) -> Iterator[Body]:
        """What is added inside becomes the body of a loop, to be an operation's attribute."""
        body = Body([self.tensor() for _ in range(inputs)], self.float_type)
        outer, self.operations = self.operations, body.operations
        same, self._same = self._same, dict(self._same)
        try:
            yield body
        finally:
            self.operations, self._same = outer, same | {k: t for k, t in self._same.items() if t in self.constants}

    def _operand(self, value: Operand) -> Tensor:
        if value is None:
            return ""
        return value if isinstance(value, str) else self.constant(value)

    def pruned(self, outputs: Iterable[Tensor]) -> list[Operation]:
        """The operations that the outputs need."""
        needed, kept = set(outputs), []
        for operation in reversed(self.operations):
            if not needed.isdisjoint(operation.outputs):
                needed |= operation.reads
                kept.append(operation)
        return kept[::-1]


def all_operations(operations: Iterable[Operation]) -> Iterator[Operation]:
    """The operations and those in their bodies."""
    for operation in operations:
        yield operation
        for body in operation.bodies:
            yield from all_operations(body.operations)
