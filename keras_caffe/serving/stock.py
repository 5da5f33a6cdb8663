"""What a stock TensorFlow Serving cannot run, found in a traced function before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import tensorflow as tf

from keras_caffe.converters.graph import Net
from keras_caffe.converters.model import CaffeModel
from keras_caffe.errors import ExportError, Option
from keras_caffe.layers.python import Python

PYTHON = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}


def check_layers(model: CaffeModel, values: Iterable[str]) -> None:
    """Raises ExportError, naming the layers, if the given values are computed by Python code."""
    exported = _upstream(model.net, values)
    python = [
        f"{planned.node.name!r} ({planned.node.type})"
        for index, planned in model.plan.layers.items()
        if index in exported and isinstance(planned.layer, Python)
    ]
    if python:
        raise ExportError(
            f"Python code cannot be exported: layer {', '.join(python)}",
            expected="layers of TensorFlow's own operations",
            fix=(
                Option("python_layers", ..., "to load the net with these layers as CaffeLayer classes of keras.ops"),
                Option("outputs", ..., "to export a part of the net without them"),
            ),
        )


def _upstream(net: Net, values: Iterable[str]) -> set[int]:
    """Indices of the nodes that the values come from."""
    nodes: set[int] = set()
    todo = [net.values[value].producer for value in values]
    while todo:
        index = todo.pop()
        if index not in nodes:
            nodes.add(index)
            todo += [net.values[value].producer for value in net.nodes[index].inputs]
    return nodes


def check_functions(functions: Iterable[Any]) -> None:
    """Raises ExportError, naming all offending operations, unless a stock TensorFlow can run the concrete functions."""
    problems = sorted({problem for function in functions for problem in _problems(function.graph.as_graph_def())})
    if problems:
        raise ExportError(
            f"a stock TensorFlow Serving cannot run {len(problems)} operation{'s' if len(problems) > 1 else ''}: "
            + "; ".join(problems),
            expected="TensorFlow's own operations",
            fix=(
                "Give the layers a path of keras.ops.",
                Option("outputs", ..., "to export a part of the net without them"),
            ),
        )


def operations(graph: Any) -> Iterator[tuple[str, Any]]:
    """(function's name or "", node) of every operation of a GraphDef."""
    for node in graph.node:
        yield "", node
    for function in graph.library.function:
        for node in function.node_def:
            yield function.signature.name, node


def _problems(graph: Any) -> Iterator[str]:
    for function in graph.library.function:
        if function.attr["_XlaMustCompile"].b:
            yield f"{function.signature.name} (must be compiled with XLA)"
    for _, node in operations(graph):
        if node.op in PYTHON:
            yield f"{node.name} ({node.op}, runs Python code)"
        elif not hasattr(tf.raw_ops, node.op):
            yield f"{node.name} ({node.op}, not one of TensorFlow's own)"
        elif node.attr["_XlaMustCompile"].b:
            yield f"{node.name} (must be compiled with XLA)"
