"""Names of layers and operations, of which Keras wants each to have its own."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from itertools import count
from typing import Any

import keras


def free_name(wanted: str, taken: set[str]) -> str:
    """This name, or with a number if it is taken. It is taken from now on.

    What has variables is named so before it is built: their paths keep the name.
    """
    names = (wanted if number == 0 else f"{wanted}_{number}" for number in count())
    name = next(name for name in names if name not in taken)
    taken.add(name)
    return name


def make_unique(outputs: Iterable[Any], first: Container[int] = ()) -> None:
    """Numbers operations that are called as others are, such as a transpose beside a layer of this name.

    Args:
        outputs: symbolic tensors; operations are those that make them.
        first: ids of operations that keep their names, as those that are called after Caffe's layers; behind them come
            layers, those with variables first.
    """

    def rank(operation: Any) -> tuple[bool, ...]:
        has_variables = bool(getattr(operation, "variables", ()))
        return (not has_variables, id(operation) not in first, not isinstance(operation, keras.layers.Layer))

    found = sorted(_operations(outputs), key=rank)
    names, taken = {operation.name for operation in found}, set()
    for operation in found:
        if operation.name in taken:
            operation.name = free_name(operation.name, names)
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
