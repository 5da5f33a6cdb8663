"""A net in two parts: an engine computes the first, Keras the layers that the engine cannot and what is behind them."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

import keras
import numpy as np

from keras_caffe.converters.model import CaffeModel
from keras_caffe.errors import ExportError
from keras_caffe.layout import edge_order, permutation, to_stored
from keras_caffe.runtimes import Arrays, Runtime


class Tail:
    """What is behind a cut.

    Args:
        model: the whole net.
        layers: names of the layers in front of which it is cut.
        wanted: {name: id of the value} of what callers get.

    Attributes:
        read: ids of the values that the first part computes.
        inputs: {input blob: shape as callers see it} of the net's inputs that are read behind the cut.
        layers: names of the layers behind the cut.

    Raises:
        ExportError: nothing is left before the cut.
    """

    def __init__(self, model: CaffeModel, layers: Container[str], wanted: Mapping[str, str]) -> None:
        plan, tensors = model.plan, model.tensors
        needed, behind = plan.needed_for(wanted.values()), set[str]()
        planned = [p for p in plan.layers.values() if not needed.isdisjoint(p.node.outputs)]
        for node in (p.node for p in planned):
            if node.name in layers or not behind.isdisjoint(node.inputs):
                behind.update(node.outputs)
        nodes = [p.node for p in planned if not behind.isdisjoint(p.node.outputs)]
        self.layers = tuple(node.name for node in nodes)
        self._direct = {name: value for name, value in wanted.items() if value not in behind}
        front = dict.fromkeys(value for node in nodes for value in node.inputs if value not in behind)
        seen = list(dict.fromkeys([*front, *self._direct.values()]))
        self._fed = {value: plan.net.values[value].blob for value in seen if value in plan.inputs}
        self.read = [value for value in seen if value not in self._fed]
        if not self.read:
            raise ExportError("no layer is left before those that the engine cannot run", received=self.layers)
        orders = {v: edge_order(len(plan.shapes[v]), plan.data_format) for v in seen}
        self.inputs = {blob: to_stored(plan.input_shape(v), orders[v]) for v, blob in self._fed.items()}
        self._axes = {v: permutation(orders[v], plan.orders[v]) for v in front}
        outputs = {name: tensors.at_edge(value) for name, value in wanted.items() if value in behind}
        self._model = keras.Model([tensors[v] for v in front], outputs)

    def run(self, fed: Arrays, found: Arrays) -> dict[str, np.ndarray]:
        """All outputs, of the net's inputs and what the first part computed."""
        known = {**found, **{value: fed[blob] for value, blob in self._fed.items()}}
        computed = self._model.predict_on_batch([known[v].transpose(axes) for v, axes in self._axes.items()])
        return {**{name: known[value] for name, value in self._direct.items()}, **computed}


class Cut(Runtime):
    """An engine for the first part of a net, and Keras for the rest.

    Args:
        head: runs the first part; its outputs are what the tail reads.
        tail: the rest.
        outputs: names of all outputs.
    """

    def __init__(self, head: Runtime, tail: Tail, outputs: Sequence[str]) -> None:
        self._head, self._tail = head, tail
        self.title = f"{head.title} with Keras behind it"
        self.inputs = {**tail.inputs, **head.inputs}
        self.outputs = list(outputs)

    def call(self, fed: Arrays) -> dict[str, np.ndarray]:
        found = self._tail.run(fed, self._head.call(fed))
        return {name: found[name] for name in self.outputs}
