"""Parameters shared by name. Caffe: Net::AppendParam in net.cpp."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from keras_caffe import proto
from keras_caffe.converters.graph import Net, Node
from keras_caffe.errors import NetError

Slot = tuple[int, int]
"""(node index, blob index)"""


@dataclass(frozen=True)
class SharedParam:
    """A parameter that another layer owns; `share_mode` is "STRICT" (equal shapes) or "PERMISSIVE" (equal counts)."""

    name: str
    owner: Slot
    share_mode: str


def shared_params(net: Net) -> dict[Slot, SharedParam]:
    """(node index, blob index) of each sharing parameter -> its owner, the first parameter of the same name.

    Raises NetError where the sharing layers state different lr_mult or decay_mult, or one layer shares with itself.
    """
    owners = _owners(net)
    for node, slot, spec in _specs(net):
        if owners[slot] != slot and owners[slot][0] == node.index:
            raise NetError(
                f"two parameters of one layer have the same name {spec.name!r}",
                where=node.where,
                layer=f"{node.name!r} ({node.type})",
                expected="parameters that are shared with another layer",
                fix="Give each `param` of the layer a name of its own.",
            )
    for field in ("lr_mult", "decay_mult"):
        _stated(net, owners, field)
    mode = proto.ParamSpec.DimCheckMode.Name
    return {
        slot: SharedParam(spec.name, owners[slot], mode(spec.share_mode))
        for _, slot, spec in _specs(net)
        if owners[slot] != slot
    }


def multipliers(net: Net) -> dict[Slot, tuple[float, float]]:
    """(node index, blob index) of each parameter with a `param` entry -> its lr_mult and decay_mult in effect.

    What any sharing layer states holds for all of them; what none states is the default of the message.
    """
    owners, default = _owners(net), proto.ParamSpec()
    lr, decay = _stated(net, owners, "lr_mult"), _stated(net, owners, "decay_mult")
    return {
        slot: (lr.get(owner, default.lr_mult), decay.get(owner, default.decay_mult)) for slot, owner in owners.items()
    }


def _specs(net: Net) -> Iterator[tuple[Node, Slot, proto.ParamSpec]]:
    for node in net.nodes:
        for blob, spec in enumerate(node.message.param):
            yield node, (node.index, blob), spec


def _owners(net: Net) -> dict[Slot, Slot]:
    first: dict[str, Slot] = {}
    return {slot: first.setdefault(spec.name, slot) if spec.name else slot for _, slot, spec in _specs(net)}


def _stated(net: Net, owners: dict[Slot, Slot], field: str) -> dict[Slot, float]:
    """Owner -> the multiplier that its layers state, where one does."""
    stated: dict[Slot, float] = {}
    for node, slot, spec in _specs(net):
        if not spec.HasField(field):
            continue
        owner, value = owners[slot], getattr(spec, field)
        if stated.setdefault(owner, value) != value:
            raise NetError(
                f"shared parameter {spec.name!r} has another {field} than in a layer above",
                where=node.where,
                layer=f"{node.name!r} ({node.type})",
                expected=f"{field} {stated[owner]:g} as stated above (layer {net.nodes[owner[0]].name!r} owns it)",
                received=f"{value:g}",
                fix=f"State {field} in one of the layers only.",
            )
    return stated
