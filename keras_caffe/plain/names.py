"""Names of operations, of which Keras wants each to have its own."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from itertools import count
from typing import Any


def make_unique(outputs: Iterable[Any], first: Container[int]) -> None:
    """Numbers operations that are called as others are.

    Args:
        outputs: symbolic tensors; operations are those that make them.
        first: ids of operations that keep their names if they can, as those that are called after Caffe's layers.
    """
    found = sorted(_operations(outputs), key=lambda operation: id(operation) not in first)
    names, taken = {operation.name for operation in found}, set()
    for operation in found:
        if operation.name in taken:
            free = (f"{operation.name}_{number}" for number in count(1))
            operation.name = next(name for name in free if name not in names)
            names.add(operation.name)
            config = getattr(operation, "_auto_config", None)
            if config is not None and "name" in config.config:
                config.config["name"] = operation.name
        taken.add(operation.name)


def _operations(outputs: Iterable[Any]) -> Iterator[Any]:
    seen: set[int] = set()
    todo = list(outputs)
    while todo:
        operation, index, _ = todo.pop()._keras_history
        node = operation._inbound_nodes[index]
        if id(node) in seen:
            continue
        todo += node.input_tensors
        if id(operation) not in seen:
            yield operation
        seen |= {id(operation), id(node)}
