"""A net with what it has learned, and the edits that `keras_caffe.converters.passes` are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from keras_caffe import proto
from keras_caffe.converters.graph import AUTOMATIC, Net, Node, graph
from keras_caffe.shapes import Shape


@dataclass(frozen=True, eq=False)
class Trained:
    """A net, its blobs, and what passes must leave alone.

    Args:
        net: the graph.
        blobs: for each node its learned blobs in Caffe's shape and order.
        shapes: value id -> shape in Caffe's order.
        fixed: indices of nodes that keep their parameters: shared ones, those of classes that are not ours.
        protected: ids of the values that callers see: they keep their blob's name and what is in it.
    """

    net: Net
    blobs: tuple[tuple[np.ndarray, ...], ...]
    shapes: Mapping[str, Shape]
    fixed: frozenset[int]
    protected: frozenset[str]

    def channels(self, node: Node) -> int:
        """Size of axis 1 of the node's bottom."""
        return int(self.shapes[node.inputs[0]][1] or 0)

    def only_reader(self, value: str) -> Node | None:
        """The node that alone reads a value which nobody else sees."""
        readers = self.net.values[value].consumers
        return self.net.nodes[readers[0]] if len(readers) == 1 and value not in self.protected else None

    def is_chain(self, node: Node) -> bool:
        """One bottom, one top, and parameters that may change."""
        return (len(node.inputs), len(node.outputs)) == (1, 1) and node.index not in self.fixed


class Edit:
    """Changes to a Trained, collected and then made at once by `done`; each node is changed once.

    Nodes are replaced and taken out by value, not by name: whoever read a value of a node that is gone reads another
    one, and gets that one's name as its bottom.
    """

    def __init__(self, trained: Trained) -> None:
        self.old = trained
        self.layers: dict[int, tuple[proto.LayerParameter, Sequence[np.ndarray]] | None] = {}
        self.names: dict[str, str] = {}
        self.instead: dict[str, str] = {}

    def touched(self, *nodes: Node) -> bool:
        return any(node.index in self.layers for node in nodes)

    def replace(self, node: Node, layer: proto.LayerParameter, blobs: Sequence[np.ndarray]) -> None:
        self.layers[node.index] = layer, blobs

    def can_drop(self, node: Node) -> bool:
        """Whether the readers of the node's tops can read its bottom, also under the names that callers know."""
        source, seen = self._source(node.inputs[0]), [top for top in node.outputs if top in self.old.protected]
        if not seen or node.index in self.old.fixed:
            return node.index not in self.old.fixed
        if not set(seen).isdisjoint(self.old.net.outputs) and self._other_readers(node, source):
            return False  # What others read is no output of a net.
        name = self.names.get(source, self._blob(source))
        if len(seen) == 1 and self._blob(seen[0]) == name:
            return True
        nodes, values = self.old.net.nodes, self.old.net.values
        is_input = not nodes[values[source].producer].inputs
        return not (len(seen) > 1 or is_input or source in self.old.protected or source in self.names)

    def _other_readers(self, node: Node, source: str) -> bool:
        """Whether what is left of the net reads the node's bottom, or one of its tops."""
        values = {source, *node.outputs, *(value for value in self.instead if self._source(value) == source)}
        readers = {reader for value in values for reader in self.old.net.values[value].consumers}
        return any(self.layers.get(reader, ()) is not None for reader in readers - {node.index})

    def drop(self, node: Node) -> None:
        """Takes a node with one bottom out; `can_drop` was asked."""
        source = self._source(node.inputs[0])
        for top in node.outputs:
            self.instead[top] = source
            if top in self.old.protected:
                self.names[source] = self._blob(top)
        self.layers[node.index] = None

    def done(self) -> Trained:
        """The edited net; the same one if there was nothing to do."""
        if not self.layers:
            return self.old
        nodes = [node for node in self.old.net.nodes if self.layers.get(node.index, ()) is not None]
        message = proto.NetParameter()
        message.CopyFrom(self.old.net.message)
        message.ClearField("layer")
        message.layer.extend(self._message(node) for node in nodes)
        net = graph(message, fork=self.old.net.fork)
        new = dict(self._renamed(nodes, net))
        return Trained(
            net,
            tuple(tuple(self.layers.get(n.index, (n.message, self.old.blobs[n.index]))[1]) for n in nodes),  # type: ignore[index]
            {new[value]: shape for value, shape in self.old.shapes.items() if value in new},
            frozenset(index for index, node in enumerate(nodes) if node.index in self.old.fixed),
            frozenset(new[self._source(value)] for value in self.old.protected),
        )

    def _message(self, node: Node) -> proto.LayerParameter:
        layer = proto.LayerParameter()
        layer.CopyFrom((self.layers.get(node.index) or (node.message,))[0])
        layer.bottom[:] = [self._name(self._source(value)) for value in node.inputs]
        layer.top[:] = [self._name(value) for value in node.outputs if self._blob(value) != AUTOMATIC]
        return layer

    def _renamed(self, nodes: Sequence[Node], net: Net) -> list[tuple[str, str]]:
        pairs = zip(nodes, net.nodes, strict=True)
        return [pair for old, new in pairs for pair in zip(old.outputs, new.outputs, strict=True)]

    def _source(self, value: str) -> str:
        while value in self.instead:
            value = self.instead[value]
        return value

    def _name(self, value: str) -> str:
        return self.names.get(value, self._blob(value))

    def _blob(self, value: str) -> str:
        return self.old.net.values[value].blob
