"""Makes fan-out explicit again, as Caffe does before it runs a net. Caffe: util/insert_splits.cpp."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from keras_caffe import proto
from keras_caffe.converters.graph import AUTOMATIC, Net, Node, Value, graph
from keras_caffe.converters.in_place import stated_loss_weight
from keras_caffe.errors import Cure


def with_splits(
    net: proto.NetParameter,
    where: Callable[[str], str | None] = lambda layer: None,
    cures: Callable[[str], Iterable[Cure]] = lambda bottom: (),
) -> proto.NetParameter:
    """A new net with Caffe's Split layers: one for each top that is used twice, where a loss weight counts as a use.

    Layer `<blob>_<producer>_<top>_split` has tops `<blob>_<producer>_<top>_split_<k>`; a loss weight moves to k = 0.
    Raises NetError as `graph` does.
    """
    new = proto.NetParameter()
    new.CopyFrom(net)
    new.ClearField("layer")
    new.layer.extend(_layers(graph(net, where, cures)))
    return new


def _layers(net: Net) -> Iterator[proto.LayerParameter]:
    taken: dict[str, int] = {}
    for node in net.nodes:
        layer = proto.LayerParameter()
        layer.CopyFrom(node.message)
        for position, key in enumerate(node.inputs):
            if _uses(net, net.values[key]) > 1:
                first = 1 if _loss_weight(net, net.values[key]) else 0
                number = taken[key] = taken.get(key, first - 1) + 1
                layer.bottom[position] = f"{_split_name(net, net.values[key])}_{number}"
        splits = [_split(net, node, net.values[key]) for key in node.outputs if _uses(net, net.values[key]) > 1]
        # Caffe clears all of the layer's loss weights, also those of tops that are not split.
        if any(split.loss_weight for split in splits):
            layer.ClearField("loss_weight")
        yield layer
        yield from splits


def _split(net: Net, node: Node, value: Value) -> proto.LayerParameter:
    name, uses, weight = _split_name(net, value), _uses(net, value), _loss_weight(net, value)
    split = proto.LayerParameter(name=name, type="Split", bottom=[value.blob])
    split.top.extend(f"{name}_{number}" for number in range(uses))
    if weight:
        split.loss_weight.extend([weight] + [0.0] * (uses - 1))
    if node.message.HasField("phase"):
        split.phase = node.message.phase
    return split


def _split_name(net: Net, value: Value) -> str:
    return f"{value.blob}_{net.nodes[value.producer].name}_{value.index}_split"


def _uses(net: Net, value: Value) -> int:
    return len(value.consumers) + bool(_loss_weight(net, value))


def _loss_weight(net: Net, value: Value) -> float:
    return 0.0 if value.blob == AUTOMATIC else stated_loss_weight(net.nodes[value.producer].message, value.index)
