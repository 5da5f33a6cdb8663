"""A net as a small immutable graph: every write of a blob is a value of its own, so nothing after it knows "in place".

Caffe: Net::Init, AppendTop and AppendBottom in net.cpp, InsertSplits in insert_splits.cpp.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from keras_caffe import proto
from keras_caffe.converters.in_place import check_in_place, is_in_place, warn_in_place, warn_overwritten
from keras_caffe.converters.select import phase_name
from keras_caffe.errors import CaffeError, Cure, NetError, UnknownLayerError, instead
from keras_caffe.forks.dialects import UNMARKED, Fork
from keras_caffe.named import unknown

AUTOMATIC = "(automatic)"


@dataclass(frozen=True)
class Value:
    """One write of a blob.

    Args:
        id: `blob@layer`, with "#2", "#3", ... where that is taken.
        blob: the blob's name in Caffe; "(automatic)" for the top that a loss layer does not name.
        producer: index of the node that writes it.
        index: its position among the producer's tops.
        consumers: indices of the nodes that read it, one entry for each bottom.
        memory: id of the first value in the memory where Caffe keeps it.
    """

    id: str
    blob: str
    producer: int
    index: int
    consumers: tuple[int, ...] = ()
    memory: str = ""


@dataclass(frozen=True)
class Node:
    """One layer. `inputs` and `outputs` are value ids, in the order of its bottoms and tops; `where` is `file:line`."""

    index: int
    name: str
    type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    where: str | None = None
    message: proto.LayerParameter = field(default=None, repr=False, compare=False)


def shares_memory(layer: proto.LayerParameter) -> bool:
    """Whether Caffe's layer gives its tops the memory of its first bottom, as what would move no number does."""
    one = len(layer.bottom) == 1 == len(layer.top)
    order = list(layer.permute_param.order)
    moves_nothing = {"Concat": one, "Slice": one, "Permute": order == [*range(len(order))]}
    return layer.type in {"Flatten", "Reshape", "Split"} or moves_nothing.get(layer.type, False)


class OutputFile(NamedTuple):
    """A file that a layer writes: the node, the path, and the ids of the two values in it."""

    node: int
    path: Path
    data: str
    label: str


@dataclass(frozen=True, eq=False)
class Net:
    """The graph of a net in one phase.

    Args:
        name: the net's name.
        phase: "TRAIN" or "TEST".
        nodes: the layers in file order, which is an order of execution.
        values: value id -> value.
        blobs: blob name -> id of its last write, which is what Caffe holds after a forward pass. "(automatic)" is the
            last top that a loss layer does not name: no layer can read it, and it is no output.
        inputs: ids of the tops of Input layers, in file order.
        outputs: ids of the blobs that no layer reads, in alphabetical order of the blobs as Caffe gives them.
        message: the net as it was given, for its net-level fields.
        fork: the dialect that it is read in, and why; see `keras_caffe.forks.dialects`.
    """

    name: str
    phase: str
    nodes: tuple[Node, ...]
    values: Mapping[str, Value]
    blobs: Mapping[str, str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    message: proto.NetParameter = field(default=None, repr=False)
    fork: Fork = Fork()

    def value(self, name: str) -> Value:
        """The value that a blob name (its last write) or a value id stands for."""
        self.check_blobs([name])
        return self.values[self.blobs.get(name, name)]

    def check_blobs(self, names: Iterable[str]) -> None:
        """Raises UnknownNameError if a name is neither that of a blob nor the id of a value."""
        wrong = [name for name in names if name not in self.blobs and name not in self.values]
        if wrong:
            raise unknown("blob", wrong, self.values if any("@" in str(name) for name in wrong) else self.blobs)

    def node(self, name: str) -> Node:
        """The first layer of this name; UnknownNameError if there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise unknown("layer", [name], [node.name for node in self.nodes])

    def cell(self, value: str) -> str:
        """The name of the memory that holds a value: its blob's or, as tops without a name have their own, its id."""
        blob = self.values[value].blob
        return value if blob == AUTOMATIC else blob

    def last_write(self, name: str) -> Value:
        """The value that is in the blob's memory after a forward pass.

        Reshape, Flatten and others share memory with their bottom, and so with what else shares it: an in-place layer
        on one of these blobs overwrites all. A value id is taken as it is.
        """
        last = self.value(name)
        if name not in self.blobs:
            return last
        together = [v for v in self.values.values() if v.memory == last.memory]
        written = [v for v in together if not shares_memory(self.nodes[v.producer].message)]
        return max([last, *written], key=lambda v: v.producer)

    def held(self, value: str) -> str:
        """The id of the value that is in an output's memory after a forward pass; see `last_write`."""
        name = self.values[value].blob
        return self.last_write(name).id if self.blobs.get(name) == value else value

    def producer(self, name: str) -> Node:
        """The layer that wrote the value of this blob name or value id."""
        return self.nodes[self.value(name).producer]


def graph(
    net: proto.NetParameter,
    where: Callable[[str], str | None] = lambda layer: None,
    cures: Callable[[str], Iterable[Cure]] = lambda bottom: (),
    fork: Fork = UNMARKED,
) -> Net:
    """The graph of an upgraded and selected net.

    Args:
        net: what `select` returned.
        where: layer name -> `file:line`, for errors.
        cures: bottom that no layer makes -> what can be done about it, for the error.
        fork: the dialect that it is read in.

    Raises NetError where the layers do not connect as Caffe wants it: a bottom that no layer above produces, a top that
    two layers produce, an in-place layer on a blob with other readers above it, a wrong number of propagate_down.
    """
    builder = _Builder(net, where, cures)
    for index, layer in enumerate(net.layer):
        try:
            builder.add(index, layer)
        except CaffeError as error:
            raise error.at(where=where(layer.name), layer=f"{layer.name!r} ({layer.type})") from None
    return replace(builder.net(), fork=fork)


class _Builder:
    def __init__(
        self, net: proto.NetParameter, where: Callable[[str], str | None], cures: Callable[[str], Iterable[Cure]]
    ) -> None:
        self.message, self.where, self.cures = net, where, cures
        self.nodes: list[Node] = []
        self.values: dict[str, Value] = {}
        self.readers: dict[str, list[int]] = {}
        self.blobs: dict[str, str] = {}
        self.times: dict[str, int] = {}
        self.writer: dict[str, int] = {}  # memory -> index of the last layer that wrote there

    def add(self, index: int, layer: proto.LayerParameter) -> None:
        _check_fields(layer)
        inputs = tuple(self.read(index, layer, position) for position in range(len(layer.bottom)))
        outputs = tuple(self.write(index, layer, position) for position in range(len(layer.top)))
        if not outputs and layer.type.endswith("Loss"):
            outputs = (self.new_value(AUTOMATIC, index, layer.name, 0),)
        self.nodes.append(Node(index, layer.name, layer.type, inputs, outputs, self.where(layer.name), layer))

    def read(self, index: int, layer: proto.LayerParameter, position: int) -> str:
        blob = layer.bottom[position]
        if blob not in self.blobs:
            raise self.unknown_bottom(index, blob)
        value = self.values[self.blobs[blob]]
        self.readers[value.id].append(index)
        if self.overwritten(value):
            warn_overwritten(layer, blob, self.nodes[self.writer[value.memory]].message)
        return value.id

    def overwritten(self, value: Value) -> bool:
        return self.writer[value.memory] > value.producer

    def write(self, index: int, layer: proto.LayerParameter, position: int) -> str:
        blob = layer.top[position]
        memory = ""
        if is_in_place(layer, position):
            old = self.values[self.blobs[blob]]
            producer = self.message.layer[old.producer]
            readers = [self.message.layer[reader].name for reader in self.readers[old.id]]
            check_in_place(layer, readers, producer, old.index)
            warn_in_place(layer, producer)
            memory = old.memory
        elif blob in self.blobs:
            raise self.second_producer(index, blob)
        elif (
            layer.bottom
            and shares_memory(layer)
            and not self.overwritten(bottom := self.values[self.blobs[layer.bottom[0]]])
        ):
            memory = bottom.memory
        self.blobs[blob] = self.new_value(blob, index, layer.name, position, memory)
        if not shares_memory(layer):
            self.writer[self.values[self.blobs[blob]].memory] = index
        return self.blobs[blob]

    def new_value(self, blob: str, index: int, layer: str, position: int, memory: str = "") -> str:
        name = key = f"{blob}@{layer}"
        while key in self.values:
            self.times[name] = self.times.get(name, 1) + 1
            key = f"{name}#{self.times[name]}"
        self.values[key] = Value(key, blob, index, position, memory=memory or key)
        self.writer.setdefault(memory or key, index)
        self.readers[key] = []
        return key

    def net(self) -> Net:
        values = {key: replace(value, consumers=tuple(self.readers[key])) for key, value in self.values.items()}
        return Net(
            name=self.message.name,
            phase=phase_name(self.message.state.phase),
            nodes=tuple(self.nodes),
            values=MappingProxyType(values),
            blobs=MappingProxyType({value.blob: key for key, value in values.items()}),
            inputs=tuple(key for node in self.nodes if node.type == "Input" for key in node.outputs),
            outputs=tuple(key for _, key in sorted(self.blobs.items()) if not self.readers[key]),
            message=self.message,
        )

    def unknown_bottom(self, index: int, blob: str) -> NetError:
        later = [other.name for other in self.message.layer[index:] if blob in other.top and blob not in other.bottom]
        fix: list[Cure] = []
        if later:
            problem = f"bottom {blob!r} is produced only by layer {later[0]!r}, which is not above it"
            fix = ["Caffe runs layers in file order: a net has no cycles, and a producer stands above its consumers."]
        else:
            problem = f"bottom {blob!r} is not the top of any layer"
            phase = phase_name(self.message.state.phase)
            fix = [*self.cures(blob)] or [f"Its producer is missing, or left out in phase {phase}."]
            fix += filter(None, [instead([blob], self.blobs).get("fix")])
        return NetError(problem, expected="the top of a layer higher up in the file", fix=fix)

    def second_producer(self, index: int, blob: str) -> NetError:
        first = self.values[self.blobs[blob]].producer
        if first == index:
            return NetError(f"top {blob!r} is listed twice", fix="Give each top its own name.")
        return NetError(
            f"top {blob!r} is already produced by layer {self.nodes[first].name!r}",
            expected="a new name, or for an in-place layer the name of the bottom at the same position",
            fix="Rename one of the two tops.",
        )


def _check_fields(layer: proto.LayerParameter) -> None:
    if not layer.type:
        raise UnknownLayerError(
            "the layer has no type",
            layer=repr(layer.name),
            expected='a type, e.g. type: "Convolution"',
            received="none",
        )
    if layer.propagate_down and len(layer.propagate_down) != len(layer.bottom):
        raise NetError(
            "propagate_down must be given once for each bottom, or not at all",
            expected=len(layer.bottom),
            received=len(layer.propagate_down),
        )
