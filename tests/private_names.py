"""Private names of other libraries, and of pycaffe, that the package uses because no public name does the same.

The list may only shrink. `test_architecture.py` checks that it is complete and that each name still exists in the
installed versions, so that a new release that drops one fails a test and not a user.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras
import tensorflow as tf

NAMED_TUPLE = {"_replace", "_asdict", "_fields"}  # public in spite of their underscore


class Forced(NamedTuple):
    """A private name: what has it in the installed version, and why it is used."""

    owner: Callable[[], Any]
    reason: str


def functional() -> Any:
    x = keras.Input((1,))
    return keras.Model(x, keras.layers.Identity()(x))


def masked() -> Any:
    return keras.layers.Masking()(keras.ops.ones((1, 1, 1)))


def pycaffe_net() -> Any:
    from keras_caffe.pycaffe import Net

    return Net


FORCED = {
    "_actions": Forced(argparse.ArgumentParser, "argparse has no public list of a parser's arguments"),
    "_all_reduce_sum_gradients": Forced(keras.optimizers.SGD, "sums over replicas after clipping, Caffe sums before"),
    "_apply_weight_decay": Forced(keras.optimizers.SGD, "adds a decay beside the gradient, Caffe's is part of it"),
    "_auto_config": Forced(
        lambda: importlib.import_module("keras.src.ops.operation"), "the name that an operation is saved under"
    ),
    "_backward": Forced(pycaffe_net, "pycaffe's own name, which its users call"),
    "_clip_gradients": Forced(keras.optimizers.SGD, "the only hook that sees all gradients at once"),
    "_forward": Forced(pycaffe_net, "pycaffe's own name, which its users call"),
    "_get_variable_index": Forced(keras.optimizers.SGD, "the optimizer's slots are kept by this index"),
    "_inbound_nodes": Forced(functional, "how often a layer is called in a model"),
    "_inputs": Forced(lambda: tf.data.Dataset, "abstract in tf.data.Dataset"),
    "_keras_mask": Forced(masked, "what a tensor's layers have masked, which Keras's losses multiply by"),
    "_keras_call_info_injected": Forced(
        lambda: importlib.import_module("keras.src.utils.traceback_utils"),
        "without it Keras replaces an error by another one with its own text",
    ),
    "_keras_history": Forced(
        lambda: importlib.import_module("keras.src.models.functional"), "which operation made a symbolic tensor"
    ),
    "_learning_rate": Forced(keras.optimizers.SGD, "the schedule itself; `learning_rate` is what it gives now"),
    "_maybe_symbolic_build": Forced(functional, "`fit` would take a batch of the data to build what is built"),
    "_run_through_graph": Forced(functional, "walks a functional model's layers in the order of their calls"),
    "_trainable_variables": Forced(keras.optimizers.SGD, "what the optimizer was built on; `variables` are its own"),
    "_variant_tensor": Forced(lambda: tf.data.Dataset.range(1), "the argument of tf.data.Dataset's constructor"),
}


def is_private(name: object) -> bool:
    return isinstance(name, str) and name.startswith("_") and not name.startswith("__") and name not in NAMED_TUPLE


def defined(tree: ast.Module) -> set[str]:
    """The private names that a module defines: functions, classes, variables, and attributes of `self`."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_self(node.value):
            names.add(node.attr)
    return {name for name in names if is_private(name)}


def imported(tree: ast.Module) -> Iterator[str]:
    """Private names that a module imports from others."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names if is_private(alias.name))


def used(tree: ast.Module) -> Iterator[tuple[ast.expr, str]]:
    """(object, private attribute) wherever a module uses one, by a dot or by getattr, hasattr and setattr."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            yield node.value, node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "hasattr", "setattr"):
            name = node.args[1]
            if isinstance(name, ast.Constant) and is_private(name.value):
                yield node.args[0], name.value


def set_elsewhere(tree: ast.Module) -> Iterator[str]:
    """Attributes that a module sets on what it has imported, and classes that it gives to objects."""
    names = {a.asname or a.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for a in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if node.attr == "__class__" or (isinstance(node.value, ast.Name) and node.value.id in names):
                yield ast.unparse(node)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "setattr" and ast.unparse(node.args[0]) in names:
            yield ast.unparse(node)


def is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls") or ast.unparse(node) == "super()"


def exists(name: str) -> bool:
    """Whether the installed version still has the name, as an attribute or, of a module, in its source."""
    owner = FORCED[name].owner()
    return name in inspect.getsource(owner) if inspect.ismodule(owner) else hasattr(owner, name)
