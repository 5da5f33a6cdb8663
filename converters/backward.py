"""Which layers run backward, and which bottoms and parameters get a gradient. Caffe: Net::Init in net.cpp."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from keras_caffe import proto
from keras_caffe.converters.graph import Net, Node
from keras_caffe.converters.share import Slot
from keras_caffe.errors import LayerError
from keras_caffe.layers.base import CaffeLayer
from keras_caffe.layers.loss import LossLayer
from keras_caffe.layers.python import Python


@dataclass(frozen=True)
class Backward:
    """What Caffe computes in a backward pass.

    Args:
        layers: indices of the nodes that run backward.
        bottoms: (node, bottom) that get a gradient.
        params: (node, blob) that get one, if their layer runs.
    """

    layers: frozenset[int]
    bottoms: frozenset[tuple[int, int]]
    params: frozenset[Slot]


def needs_backward(
    net: Net, blobs: Sequence[int], losses: Collection[str], classes: Mapping[int, type[CaffeLayer]]
) -> Backward:
    """What gets a gradient in a net, with or without Caffe's Split layers.

    A layer can run backward if a bottom comes from such a layer or a parameter of its own has lr_mult != 0; it does if
    its tops also lead to a loss by a way that no `propagate_down: false` blocks.

    Args:
        net: the graph.
        blobs: number of learnable blobs of each node.
        losses: ids of the values that have a loss weight.
        classes: {node: class of its layer}; a source has none.
    """
    analysis = _Analysis(net, blobs, losses)
    for node in net.nodes:
        analysis.forward(node)
    for node in reversed(net.nodes):
        analysis.backward(node)
    if net.message.force_backward:
        for node in net.nodes:
            analysis.force(node, classes[node.index].not_forced if node.index in classes else ())
    return Backward(frozenset(analysis.layers), frozenset(analysis.bottoms), frozenset(analysis.params))


def tell_python_layers(layers: Mapping[int, CaffeLayer], backward: Callable[[], Backward]) -> None:
    """Tells Python layers that run in Caffe's backward pass which bottoms' diffs it uses; the others give all.

    Args:
        layers: {node: its layer}.
        backward: gives what the net computes backward.
    """
    found = {index: layer for index, layer in layers.items() if isinstance(layer, Python)}
    plan = backward() if found else None
    for index, layer in found.items():
        if plan and index in plan.layers:
            layer.propagate_to([(index, b) in plan.bottoms for b in range(len(layer.bottom_shapes))])


class _Analysis:
    def __init__(self, net: Net, blobs: Sequence[int], losses: Collection[str]) -> None:
        self.net, self.blobs, self.losses = net, blobs, losses
        self.layers: set[int] = set()
        self.bottoms: set[tuple[int, int]] = set()
        self.params: set[Slot] = set()
        self.reached: set[str] = set()  # values that a layer below could use a gradient of
        self.under_loss: set[str] = set(losses)
        self.wanted: set[str] = {v for v, value in net.values.items() if not value.consumers or v in losses}

    def forward(self, node: Node) -> None:
        learnable = [blob for blob in range(self.blobs[node.index]) if _lr_mult(node, blob)]
        self.params.update((node.index, blob) for blob in learnable)
        if learnable or self.reached.intersection(node.inputs):
            self.layers.add(node.index)
            self.reached.update(node.outputs)
        for bottom, value in enumerate(node.inputs):
            stated = node.message.propagate_down
            if stated[bottom] if stated else value in self.reached:
                self.bottoms.add((node.index, bottom))

    def backward(self, node: Node) -> None:
        leads_to_loss = not self.under_loss.isdisjoint(node.outputs)
        if leads_to_loss:
            self.under_loss.update(node.inputs)
        blocked = node.index in self.layers and self.wanted.isdisjoint(node.outputs)
        if blocked or not leads_to_loss:
            self.layers.discard(node.index)
            self.bottoms -= {(node.index, bottom) for bottom in range(len(node.inputs))}
        self.wanted.update(v for bottom, v in enumerate(node.inputs) if (node.index, bottom) in self.bottoms)

    def force(self, node: Node, left_alone: Collection[int]) -> None:
        self.layers.add(node.index)
        self.bottoms.update((node.index, bottom) for bottom in range(len(node.inputs)) if bottom not in left_alone)
        self.params.update((node.index, blob) for blob in range(self.blobs[node.index]))


def _lr_mult(node: Node, blob: int) -> float:
    """The layer's own: what another layer states for a blob that they share does not count here."""
    specs = node.message.param
    return specs[blob].lr_mult if blob < len(specs) else proto.ParamSpec().lr_mult


def check_gradients(
    net: Net, backward: Backward, classes: Mapping[int, type[CaffeLayer]], *, losses_only: bool = False
) -> None:
    """Refuses a net in which a layer would have to give a gradient that it has none of, as a loss for its labels.

    Args:
        net: the graph.
        backward: from `needs_backward`.
        classes: {node: class of its layer}; a source has none.
        losses_only: look at the losses only.

    Raises:
        LayerError: names the layer and its bottom.
    """
    for index in sorted(backward.layers & classes.keys()):
        node, cls = net.nodes[index], classes[index]
        if losses_only and not issubclass(cls, LossLayer):
            continue
        for bottom in (b % len(node.inputs) for b in cls.no_gradient if b < len(node.inputs)):
            if (node.index, bottom) in backward.bottoms:
                raise LayerError(
                    f"cannot backpropagate to {net.values[node.inputs[bottom]].blob!r}, its bottom {bottom}",
                    where=node.where,
                    layer=f"{node.name!r} ({node.type})",
                    expected="an input of the net, or a blob that nothing learnable lies below",
                    fix="State propagate_down: false for this bottom, or lr_mult: 0 in the layers below it.",
                )
