"""The part of a net behind some layers, computed in Keras of what anybody computed before it."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

import keras
import numpy as np

from keras_caffe import layers as caffe
from keras_caffe.converters.model import CaffeModel
from keras_caffe.errors import ExportError
from keras_caffe.layout import edge_order, inverse, permutation, to_stored
from keras_caffe.runtimes import Arrays
from keras_caffe.shapes import Shape

PICKING = (
    *(caffe.ArgMax, caffe.CTCGreedyDecoder, caffe.DetectionOutput, caffe.Proposal, caffe.Threshold),
    *(caffe.YoloDetectionOutput, caffe.Yolov3DetectionOutput),
)
"""Layers that pick by value: what rounding moves past another value gives another pick"""


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
        direct: {name: id of the value} of what callers get and what is not behind the cut.

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
        self.layers: tuple[str, ...] = tuple(node.name for node in nodes)
        self.direct: dict[str, str] = {name: value for name, value in wanted.items() if value not in behind}
        front = dict.fromkeys(value for node in nodes for value in node.inputs if value not in behind)
        seen = list(dict.fromkeys([*front, *self.direct.values()]))
        self._fed = {value: plan.net.values[value].blob for value in seen if value in plan.inputs}
        self.read: list[str] = [value for value in seen if value not in self._fed]
        if not self.read:
            raise ExportError("no layer is left before those that the engine cannot run", received=self.layers)
        orders = {v: edge_order(len(plan.shapes[v]), plan.data_format) for v in seen}
        self.inputs: dict[str, Shape] = {
            blob: to_stored(plan.input_shape(v), orders[v]) for v, blob in self._fed.items()
        }
        self._axes = {v: permutation(orders[v], plan.orders[v]) for v in front}
        outputs = {name: tensors.at_edge(value) for name, value in wanted.items() if value in behind}
        self._model = keras.Model([tensors[v] for v in front], outputs) if outputs else None

    def run(self, fed: Arrays, found: Arrays) -> dict[str, np.ndarray]:
        """All outputs, of the net's inputs and what the first part computed."""
        known = {**found, **{value: fed[blob] for value, blob in self._fed.items()}}
        direct = {name: known[value] for name, value in self.direct.items()}
        if self._model is None:
            return direct
        computed = self._model.predict_on_batch([known[v].transpose(axes) for v, axes in self._axes.items()])
        return {**direct, **computed}


def picking_layers(model: CaffeModel, values: Sequence[str]) -> list[str]:
    """Names of the layers of `PICKING` that these values need."""
    needed = model.plan.needed_for(values)
    planned = (p for p in model.plan.layers.values() if isinstance(p.layer, PICKING))
    return [p.node.name for p in planned if not needed.isdisjoint(p.node.outputs)]


def computed_behind(
    model: CaffeModel, layers: Sequence[str], values: Mapping[str, str], fed: Arrays, found: Arrays
) -> dict[str, np.ndarray]:
    """{name: what the model makes, from the first of these layers on, of what somebody else found before it}.

    Args:
        model: the whole net.
        layers: names of layers.
        values: {name: id of its value} of what was found.
        fed, found: {input blob: array} and {name: array}, in Caffe's order, as is what is returned.
    """
    tail = Tail(model, layers, values)
    names = {value: name for name, value in values.items()}
    front = {value: _at_edge(model, found[names[value]]) for value in tail.read}
    computed = tail.run({blob: _at_edge(model, fed[blob]) for blob in tail.inputs}, front)
    return {
        name: array.transpose(inverse(edge_order(array.ndim, model.data_format)))
        for name, array in computed.items()
        if name not in tail.direct
    }


def _at_edge(model: CaffeModel, array: np.ndarray) -> np.ndarray:
    return array.transpose(edge_order(array.ndim, model.data_format))
