"""Any other layer: its own arithmetic, called on symbolic tensors, leaves a graph of Keras's operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import tree

from keras_caffe.errors import CaffeError
from keras_caffe.layers.base import CaffeLayer, takes_training
from keras_caffe.ops.stock import keras_ops_only
from keras_caffe.plain.site import Site

POOLS = {"MaxPool": keras.layers.MaxPooling2D, "AveragePool": keras.layers.AveragePooling2D}
"""Keras's layers in place of operations whose files only some backends understand."""


class NotPlain(CaffeError):
    """Keras's own layers and operations cannot say what a layer computes."""


def traced(site: Site, bottoms: list[Any], constant: Callable[[Any], Any]) -> list[Any]:
    """The tops of a layer's own `call`, as operations on the bottoms.

    Args:
        site: the layer.
        bottoms: symbolic tensors.
        constant: gives an array as a symbolic tensor, for tops that do not depend on the bottoms' values.

    Raises:
        NotPlain: the layer needs to see values, runs a loop over them, or calls what is no operation of Keras's.
    """
    layer = symbolic(site)
    arguments = {"training": False} if takes_training(layer) else {}
    given = bottoms[0] if len(bottoms) == 1 else bottoms
    return recorded(site, bottoms, lambda: layer.call(given, **arguments), constant)


def symbolic(site: Site) -> CaffeLayer:
    """The layer once more, with symbolic tensors in place of its variables."""
    layer = type(site.layer).from_config(site.layer.get_config())
    for index, bound in enumerate(site.layer.caffe_blobs):
        setattr(layer, bound.blob.name, site.learned(index))
    layer.built = True
    return layer


def recorded(
    site: Site, bottoms: Sequence[Any], compute: Callable[[], Any], constant: Callable[[Any], Any] | None = None
) -> list[Any]:
    """The tops that `compute` makes of the bottoms. Raises NotPlain as `traced` does."""
    try:
        with keras_ops_only():
            tops = compute()
    except CaffeError:
        raise
    except Exception as error:  # Whatever a call on symbolic tensors ends with, the reason is that it needs values.
        raise NotPlain("it needs values, or sizes that are open, while the model is made") from error
    tops = list(tops) if isinstance(tops, (list, tuple)) else [] if tops is None else [tops]
    if constant is not None:
        tops = [top if isinstance(top, keras.KerasTensor) else constant(top) for top in tops]
    return Replay(site.name, bottoms).tensors(tops)


class Replay:
    """The graph behind some tensors once more, as Keras can save it and load it again.

    Args:
        name: of the layer; the operation behind its first top gets it, the others get numbers behind it.
        bottoms: where the graph begins.
    """

    def __init__(self, name: str, bottoms: Sequence[Any]) -> None:
        self._name, self._number = name, 0
        self._again: dict[int, Any] = {id(bottom): bottom for bottom in bottoms}
        self._open = any(None in bottom.shape for bottom in bottoms)

    def tensors(self, tops: Sequence[Any]) -> list[Any]:
        """Raises NotPlain if an operation is none of Keras's own, or holds a function."""
        if tops and id(tops[0]) in self._again:  # The layer hands its bottom on.
            bottom = self._again[id(tops[0])]
            self._again[id(tops[0])] = keras.layers.Identity(name=self._name)(bottom)
        for top in tops:
            self._compute(top, last=top is tops[0])
        return [self._again[id(top)] for top in tops]

    def _compute(self, top: Any, *, last: bool) -> None:
        todo = [top]
        while todo:
            tensor = todo[-1]
            operation, index, _ = tensor._keras_history
            node = operation._inbound_nodes[index]
            if id(tensor) not in self._again and isinstance(operation, keras.layers.Embedding):
                self._again[id(tensor)] = tensor  # a learned array
            missing = [x for x in node.input_tensors if id(x) not in self._again]
            if id(tensor) in self._again:
                todo.pop()
            elif missing:
                todo += missing
            else:
                self._run(operation, node, self._name if last and tensor is top else self._next_name())

    def _next_name(self) -> str:
        self._number += 1
        return f"{self._name}_{self._number}"

    def _run(self, operation: Any, node: Any, name: str) -> None:
        args, kwargs = tree.map_structure(self._argument, (node.arguments.args, node.arguments.kwargs))
        if type(operation).__name__ == "Add" and taken_for_bias(*map(np.shape, args)):
            args = (args[0], -args[1])
            operation = keras.ops.subtract(*args)._keras_history.operation
        again = operation if isinstance(operation, keras.layers.Layer) else _again(operation, name)
        tensors = tree.flatten(again(*args, **kwargs))
        for old, new in zip(node.output_tensors, tensors, strict=True):
            self._again[id(old)] = new

    def _argument(self, x: Any) -> Any:
        """Constants are stored as arrays: they mean the same on every backend."""
        if isinstance(x, keras.KerasTensor):
            return self._again[id(x)]
        if not keras.ops.is_tensor(x):
            return x
        array = np.asarray(keras.ops.convert_to_numpy(x))
        if self._open and array.dtype.kind == "f" and np.isnan(array).any():
            raise NotPlain("it must know the size of the batch")  # Keras makes NaN of a size that is open.
        return array


def taken_for_bias(x: Sequence[int | None], y: Sequence[int | None]) -> bool:
    """Whether Keras's `add` of such shapes may give a wrong sum.

    On TensorFlow it adds a second term with one axis that is longer than 1 to x's last axis, or its second one,
    whichever is as long, and not to the axis where the term has it.
    """
    long = [size for size in y if size != 1]
    if not long or len(x) < 2 or len([size for size in long if size is not None]) > 1 or tuple(x) == tuple(y):
        return False
    at_the_end = len(y) <= len(x) and set(y[:-1]) <= {1} and y[-1] == x[-1]
    return not at_the_end


def _again(operation: Any, name: str) -> Any:
    """The same operation under another name."""
    if not type(operation).__module__.startswith("keras.src."):
        raise NotPlain(f"{type(operation).__name__} is no operation of Keras's")
    kind = type(operation).__name__
    try:
        config = operation.get_config() | {"name": name}
    except NotImplementedError as error:
        raise NotPlain(f"it repeats a function ({kind}), which Keras cannot save") from error
    if kind in POOLS:
        sizes = {
            "data_format": config.pop("data_format"),
            "padding": config.pop("padding"),
            "strides": config["strides"],
        }
        return POOLS[kind](tuple(config["pool_size"]), name=name, **sizes)
    if kind == "Reshape":
        config["newshape"] = tuple(-1 if size is None else size for size in config["newshape"])
    return type(operation).from_config(config)
