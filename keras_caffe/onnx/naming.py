"""What the tensors of a graph are called in the file: Caffe's names wherever Caffe has one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from keras_caffe.converters.graph import AUTOMATIC, Net
from keras_caffe.onnx.graph import Graph, Tensor, all_operations


class Names(dict[Tensor, str]):
    """{tensor: its name}; each name is given once."""

    def __init__(self) -> None:
        super().__init__({"": ""})
        self.taken: set[str] = set()

    def give(self, tensor: Tensor, name: str) -> None:
        """Names a tensor that has no name yet; with "_2", "_3", ... where the name is taken."""
        if tensor in self:
            return
        free, number = name, 1
        while free in self.taken:
            number += 1
            free = f"{name}_{number}"
        self.taken.add(free)
        self[tensor] = free


def named(graph: Graph, net: Net, values: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> Names:
    """Names for all tensors of a graph.

    Args:
        graph: the finished graph.
        net: whose values they are.
        values: {value id: the tensor that holds it}.
        outputs: {name: tensor} of what callers get.
    """
    names = Names()
    for tensor, (name, _) in graph.inputs.items():
        names.give(tensor, name)
    for name, tensor in outputs.items():
        names.give(tensor, name)
    for name, tensor in [*_blobs(net, values), *values.items()]:
        names.give(tensor, name)
    for tensor, weight in graph.weights.items():
        names.give(tensor, weight.name)
    for tensor in graph.constants:
        names.give(tensor, "constant")
    for operation in all_operations(graph.operations):
        for tensor in (*operation.outputs, *(tensor for body in operation.bodies for tensor in body.inputs)):
            names.give(tensor, f"{operation.layer}/{operation.type}")
    return names


def _blobs(net: Net, values: Mapping[str, Tensor]) -> Iterable[tuple[str, Tensor]]:
    """The last write of each blob that is a value of the graph."""
    return ((blob, values[value]) for blob, value in net.blobs.items() if value in values and blob != AUTOMATIC)
