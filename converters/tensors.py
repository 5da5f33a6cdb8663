"""The Keras tensor of every value of a net, in every stored order that is asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_caffe.converters.infer import Plan, PlannedLayer
from keras_caffe.converters.keras_names import keras_name
from keras_caffe.errors import NetError
from keras_caffe.layout import Order, caffe_order, edge_order, permutation, to_stored

ANCHOR = "no_input"
"""Name of the input of a net that has none."""

USUAL_LIMIT = 1000  # Python's
SHALLOW = USUAL_LIMIT // 4  # what always has room


class Tensors:
    """The Keras tensor of each value, stored as its layer made it; other orders are transposed once and kept."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.defaults: dict[str, np.ndarray] = {}
        self.checked_shapes: set[Any] = set()  # of inputs that the layers were asked about
        self._tensors: dict[tuple[str, Order], Any] = {}
        self._inputs: dict[str, Any] = {}
        self._anchor: Any = None

    def __getitem__(self, value: str) -> Any:
        return self._tensors[value, self.plan.orders[value]]

    def __setitem__(self, value: str, tensor: Any) -> None:
        self._tensors[value, self.plan.orders[value]] = tensor

    def stored_as(self, value: str, order: Order) -> Any:
        """The value's tensor with its Caffe axes stored in `order`."""
        if (value, order) not in self._tensors:
            have = self.plan.orders[value]
            tensor = keras.ops.transpose(self._tensors[value, have], permutation(have, order))
            self._tensors[value, order] = tensor
        return self._tensors[value, order]

    def bottoms(self, planned: PlannedLayer) -> list[Any]:
        """A layer's bottoms, each stored as the layer wants it."""
        return [self.stored_as(v, order) for v, order in zip(planned.node.inputs, planned.orders, strict=True)]

    def at_edge(self, value: str) -> Any:
        """The value's tensor as callers see it."""
        return self.stored_as(value, edge_order(len(self.plan.shapes[value]), self.plan.data_format))

    def at_edge_as(self, value: str, like: str) -> Any:
        """The value in the shape of another one that shares its memory in Caffe."""
        if value == like or self.plan.shapes[value] == self.plan.shapes[like]:
            return self.at_edge(value)
        # Caffe's memory has no axes: the values of `value`, in Caffe's order, are read in the shape of `like`.
        shape, order = self.plan.shapes[like], edge_order(len(self.plan.shapes[like]), self.plan.data_format)
        if shape[1:].count(None) > 1:
            raise NetError(
                f"a later layer overwrites blob {self.plan.net.values[like].blob!r} in another shape",
                expected="at most one open size of the blob",
                received=shape,
                fix="Leave the blob out of the outputs, or fix the sizes of the inputs.",
            )
        flat = self.stored_as(value, caffe_order(len(self.plan.shapes[value])))
        tensor = keras.ops.reshape(flat, (-1, *shape[1:]) if self.plan.dynamic and shape else shape)
        return keras.ops.transpose(tensor, order) if order != caffe_order(len(shape)) else tensor

    def inputs(self, values: Sequence[str]) -> dict[str, Any]:
        """{name: `keras.Input`} of the given values."""
        named = {keras_name(self.plan.net.values[v].blob): self._inputs[v] for v in values}
        return named if self._anchor is None else {**named, ANCHOR: self._anchor}

    def anchor(self) -> Any:
        """The tensor that layers without bottoms are called on: any input, or one made for them."""
        if self.plan.inputs:
            return self.at_edge(self.plan.inputs[0])
        if self._anchor is None:
            self._anchor = keras.Input(batch_shape=(1,), name=ANCHOR, dtype="float32")
            self.defaults[ANCHOR] = np.zeros(1, "float32")
        return self._anchor

    def add_inputs(self, values: Sequence[str], defaults: Sequence[np.ndarray] | None) -> None:
        """Makes the `keras.Input` of each value."""
        for index, value in enumerate(values):
            shape = to_stored(self.plan.input_shape(value), self.plan.orders[value])
            name = self._input_name(value)
            self[value] = self._inputs[value] = keras.Input(batch_shape=shape, name=name, dtype="float32")
            if defaults is not None:
                axes = permutation(caffe_order(len(shape)), self.plan.orders[value])
                self.defaults[name] = np.transpose(defaults[index], axes)

    def _input_name(self, value: str) -> str:
        blobs = [self.plan.net.values[v].blob for v in (*self._inputs, value)]
        alike = [blob for blob in blobs if keras_name(blob) == keras_name(blobs[-1])]
        if len(alike) > 1:
            raise NetError(
                f"inputs {', '.join(map(repr, alike))} have one name in Keras, {keras_name(blobs[-1])!r}",
                fix="Rename one of them.",
            )
        return keras_name(blobs[-1])

    def allow_depth(self) -> None:
        """Room for making a model of the tensors: Keras goes from the outputs to the inputs by recursion.

        The limit is the process's, so it stays: another thread may need it at the same time.
        """
        depth = 2 * len(self.plan.net.nodes)
        if depth > SHALLOW:
            sys.setrecursionlimit(max(sys.getrecursionlimit(), USUAL_LIMIT + depth))


class Blobs(Mapping[str, Any]):
    """{blob name: Keras tensor}: what Caffe's `net.blobs[name]` holds after forward.

    A name that in-place layers overwrite means the last value; `blobs["conv1@conv1"]` is what layer conv1 wrote.
    "(automatic)" is the top of the last loss layer that does not name its own.
    An unknown name raises UnknownNameError, a KeyError.
    """

    def __init__(self, tensors: Tensors) -> None:
        self._tensors, self._net = tensors, tensors.plan.net

    def __getitem__(self, name: str) -> Any:
        return self._tensors.at_edge_as(self._net.last_write(name).id, self._net.value(name).id)

    def __contains__(self, name: object) -> bool:
        return name in self._net.blobs or name in self._net.values

    def __iter__(self) -> Iterator[str]:
        return iter(self._net.blobs)

    def __len__(self) -> int:
        return len(self._net.blobs)
