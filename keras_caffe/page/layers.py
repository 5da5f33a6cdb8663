"""What a page tells of each layer, as plain values."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from keras_caffe import registry
from keras_caffe.converters.costs import flops, parameters
from keras_caffe.converters.infer import Plan, PlannedLayer
from keras_caffe.converters.share import multipliers
from keras_caffe.errors import CaffeError, NetError
from keras_caffe.layout import edge_order, to_stored
from keras_caffe.page.fields import as_text, fields
from keras_caffe.page.images import picture_input
from keras_caffe.page.kinds import kind
from keras_caffe.page.scene import Scene
from keras_caffe.proto.text import to_text
from keras_caffe.shapes import Shape, count

LONG = 20_000  # characters of a prototxt that are shown
BYTES = 4


def described(scene: Scene) -> list[dict[str, Any]]:
    """Every layer of a scene, in its order; what the plan does not know is left out."""
    known = _fields(scene.plan) if scene.plan else {}
    rates = multipliers(scene.plan.net) if scene.plan else {}
    found = []
    for place, layer in enumerate(scene.layers):
        planned = scene.planned(place)
        one = {
            "name": layer.name,
            "type": layer.type,
            "kind": kind(layer, type(planned.layer) if planned else None),
            "where": scene.where(layer.name) or "",
            "bottoms": list(layer.bottom),
            "tops": list(layer.top),
            "prototxt": _text(layer),
        }
        if scene.plan and place in scene.nodes:
            one |= _planned(scene, scene.plan, place, known, rates)
        found.append(one)
    return found


def documentation(types: Sequence[str]) -> dict[str, str]:
    """{type: what its layer's documentation says} of those that are known."""
    classes = {name: registry.class_of(name) for name in dict.fromkeys(types)}
    return {name: inspect.getdoc(cls) or "" for name, cls in classes.items() if cls is not None}


def _planned(
    scene: Scene, plan: Plan, place: int, known: Mapping[str, Any], rates: Mapping[tuple[int, int], tuple[float, float]]
) -> dict[str, Any]:
    index, values = scene.nodes[place], scene.values(place)
    planned, bottoms = scene.planned(place), plan.net.nodes[index].inputs
    one: dict[str, Any] = {
        "shapes": [_shapes(plan, value) for value in values],
        "parameters": parameters(plan, index),
        "flops": _flops(plan, planned) if planned else 0,
        "weight_bytes": BYTES * parameters(plan, index),
        "read_bytes": BYTES * sum(count(plan.shapes[value]) or 0 for value in bottoms),
        "blobs": [_blob(plan, (index, number), rates) for number in range(len(plan.blobs(index)))],
    }
    if all(count(plan.shapes[value]) is not None for value in values):  # else values decide how many there are
        one["top_bytes"] = _bytes(plan, planned, values)
    field = next((known[value] for value in values if value in known), None)
    if field is not None:
        one["field"] = as_text(field)
    losses = [weight for weight in planned.loss_weights if weight] if planned else []
    return one | ({"loss_weight": losses[0]} if losses else {})


def _shapes(plan: Plan, value: str) -> list[str]:
    """The blob, its shape in Caffe's order and in Keras's."""
    shape = plan.shapes[value]
    stored = to_stored(shape, edge_order(len(shape), plan.data_format))
    return [plan.net.values[value].blob, _shape(shape), _shape(stored)]


def _flops(plan: Plan, planned: PlannedLayer) -> int | None:
    try:
        return flops(plan, planned)
    except CaffeError:
        return None


def _bytes(plan: Plan, planned: PlannedLayer | None, values: Sequence[str]) -> int:
    shapes = [plan.shapes[value] for value in values]
    return planned.layer.memory(shapes) if planned else BYTES * sum(count(shape) or 0 for shape in shapes)


def _blob(plan: Plan, slot: tuple[int, int], rates: Mapping[Any, tuple[float, float]]) -> dict[str, Any]:
    blob = plan.blobs(slot[0])[slot[1]]
    rate, decay = rates.get(slot, (1.0, 1.0))
    one: dict[str, Any] = {"name": blob.name, "shape": _shape(blob.shape), "lr": rate, "decay": decay}
    owner = plan.owners.get(slot)
    return one | ({"owner": plan.net.nodes[owner[0]].name} if owner else {})


def _fields(plan: Plan) -> Mapping[str, Any]:
    try:
        name, _ = picture_input(plan)
    except NetError:
        planes = [value for value in plan.inputs if len(plan.shapes[value]) == 4]
        return fields(plan, planes[0]) if planes else {}
    return fields(plan, plan.net.blobs[name] if plan.net.blobs[name] in plan.inputs else plan.inputs[0])


def _shape(shape: Shape) -> str:
    return " × ".join("?" if size is None else str(size) for size in shape) or "scalar"


def _text(layer: Any) -> str:
    shown = type(layer)()
    shown.CopyFrom(layer)
    shown.ClearField("phase")  # which selecting the phase has set
    text = "layer {\n" + "".join(f"  {line}\n" for line in to_text(shown).splitlines()) + "}"
    return text if len(text) < LONG else f"{text[:LONG]} ... ({len(text):,} characters)"
