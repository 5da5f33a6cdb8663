"""What a forward pass takes in all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.converters.infer import Plan
from keras_caffe.shapes import count

BYTES = 4


def totals(plan: Plan | None, layers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Parameters, operations and memory of a net whose layers are described; nothing where nothing is planned."""
    if plan is None:
        return {}
    costs = [layer["flops"] for layer in layers if "flops" in layer]
    peak, at = peak_memory(plan)
    return {
        "parameters": sum(layer.get("parameters", 0) for layer in layers),
        "flops": sum(filter(None, costs)),
        "partial": None in costs or len(costs) < len(layers),
        "weight_bytes": sum(layer.get("weight_bytes", 0) for layer in layers),
        "top_bytes": sum(layer.get("top_bytes", 0) for layer in layers),
        "peak_bytes": peak,
        "peak_at": at,
        "batch": next((plan.shapes[value][0] for value in plan.inputs if plan.shapes[value]), 1),
        "dynamic": plan.dynamic,
    }


def peak_memory(plan: Plan) -> tuple[int, str]:
    """Bytes of the blobs that are needed at once in a forward pass, at its worst layer, and that layer's name.

    A blob is needed from the layer that makes it to the last that reads it; what works in place takes nothing.
    """
    last = {value.memory: value.producer for value in plan.net.values.values()}
    size = dict.fromkeys(last, 0)
    for value in plan.net.values.values():
        if value.id in plan.shapes:
            last[value.memory] = max([last[value.memory], value.producer, *value.consumers])
            size[value.memory] = max(size[value.memory], BYTES * (count(plan.shapes[value.id]) or 0))
    for output in plan.net.outputs:
        last[plan.net.values[output].memory] = len(plan.net.nodes)
    held, worst, at = 0, 0, ""
    kept: set[str] = set()
    ends: dict[int, list[str]] = {}
    for memory, reader in last.items():
        ends.setdefault(reader, []).append(memory)
    for node in plan.net.nodes:
        new = {plan.net.values[value].memory for value in node.outputs} - kept
        kept |= new
        held += sum(size[memory] for memory in new)
        if held > worst:
            worst, at = held, node.name
        held -= sum(size[memory] for memory in ends.get(node.index, ()))
    return worst, at
