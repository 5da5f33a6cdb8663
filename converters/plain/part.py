"""A part of a loaded net inside a Keras model: its layers are written as they were read, with their learned values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keras_caffe import proto
from keras_caffe.converters.graph import Node
from keras_caffe.converters.infer import Plan
from keras_caffe.converters.model import BlobModel, keras_name
from keras_caffe.converters.plain.draft import Draft, DraftValue, Inexpressible


def add_part(draft: Draft, model: BlobModel, values: Sequence[DraftValue]) -> list[DraftValue]:
    """Adds the layers that a part of a net runs; names of layers and blobs stay, unless they are taken.

    Args:
        draft: the net that is written.
        model: what `load` or `extract` returned.
        values: of its inputs.

    Returns:
        The values of its outputs.
    """
    plan = plan_of(model)
    if draft.owners.setdefault(id(model), len(draft.layers)) != len(draft.layers):
        raise Inexpressible("a part of a Caffe net that is called twice cannot be written")
    given = dict(zip(model.input_names, values, strict=True))
    wanted = _outputs(model)
    needed = plan.needed_for(wanted)
    blobs: dict[str, str] = {}
    for value in plan.inputs_of(wanted):
        name = keras_name(plan.net.values[value].blob)
        if name not in given:
            raise Inexpressible(f"its input {name!r} has a value of its own")
        blobs[value] = given[name].plain().blob
    for planned in plan.layers.values():
        if not needed.isdisjoint(planned.node.outputs):
            _add(draft, model, planned.node, blobs)
    return [DraftValue(blobs[value], _single(plan.shapes[value])) for value in wanted]


def plan_of(model: BlobModel) -> Plan:
    """The plan of the net that it is a part of."""
    if model.tensors is None:
        raise Inexpressible("it does not know the net that it is a part of")
    return model.tensors.plan


def _outputs(model: BlobModel) -> list[str]:
    """Ids of the values that the model gives, in the order in which Keras flattens them."""
    plan = plan_of(model)
    if isinstance(model.output, Mapping):
        return [plan.net.last_write(name).id for name in sorted(model.output)]
    return plan.outputs()


def _add(draft: Draft, model: BlobModel, node: Node, blobs: dict[str, str]) -> None:
    plan = plan_of(model)
    layer = proto.LayerParameter()
    layer.CopyFrom(node.message)
    for field in ("phase", "include", "exclude", "bottom", "top"):
        layer.ClearField(field)
    layer.name = draft.name(node.name)
    layer.bottom.extend(blobs[value] for value in node.inputs)
    in_place = {plan.net.values[value].blob: blobs[value] for value in node.inputs}
    for value in node.outputs:
        blob = plan.net.values[value].blob
        known = in_place.get(blob) or (layer.name if blob == node.name else None)
        blobs[value] = known or draft.name(blob)
        layer.top.append(blobs[value])
    draft.layers.append(layer)
    draft.blobs.append([bound.get() for bound in plan.bound_blobs(node.index)])


def _single(shape: Sequence[Any]) -> tuple[int, ...]:
    """With batch 1."""
    if None in shape[1:]:
        raise Inexpressible(f"its shape {tuple(shape)} is not known")
    return (1, *shape[1:])
