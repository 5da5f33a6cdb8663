"""Two nets beside each other: what was added, removed and changed, and where values diverge first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_caffe.converters.comparison import Comparison, compare, computed_blobs, row
from keras_caffe.converters.model import CaffeModel
from keras_caffe.page.activations import computable
from keras_caffe.page.scene import Scene
from keras_caffe.page.weights import Values

SAME = 1e-4  # a relative difference that is taken for rounding


def of_layers(mine: Scene, theirs: Scene) -> list[dict[str, Any]]:
    """The layers that were added, removed or changed, by name: `layer`, `what`, `text`."""
    ours, others = ({layer.name: layer for layer in scene.layers} for scene in (mine, theirs))
    found = [{"layer": name, "what": "only here", "text": ours[name].type} for name in ours if name not in others]
    found += [{"layer": name, "what": "only there", "text": others[name].type} for name in others if name not in ours]
    for name in ours:
        if name in others and ours[name] != others[name]:
            found.append({"layer": name, "what": "changed", "text": _changes(ours[name], others[name])})
    return found


def _changes(mine: Any, theirs: Any) -> str:
    """What two messages hold that differs, as `field: mine -> theirs`."""
    found = []
    fields = {field.name: field for message in (mine, theirs) for field, _ in message.ListFields()}
    for name, field in fields.items():
        one, other = getattr(mine, name), getattr(theirs, name)
        if one == other:
            continue
        if field.message_type is not None and hasattr(one, "ListFields"):
            found.append(f"{name} {{ {_changes(one, other)} }}")
        else:
            found.append(f"{name}: {_shown(one)} → {_shown(other)}")
    return "; ".join(found)


def _shown(value: Any) -> str:
    text = str(list(value)) if hasattr(value, "append") or hasattr(value, "add") else str(value)
    return text if len(text) <= 80 else f"{text[:80]}..."


def of_weights(scene: Scene, mine: Values, theirs: Values) -> list[dict[str, Any]]:
    """The blobs whose values differ, in the net's order."""
    found: list[dict[str, Any]] = []
    for place, layer in enumerate(scene.layers):
        node = scene.nodes.get(place)
        blobs = scene.plan.blobs(node) if scene.plan and node is not None else ()
        for number, blob in enumerate(blobs):
            one, other = mine(node or 0, number), theirs(node or 0, number)
            if one is None and other is None:
                continue
            text = _difference(one, other)
            if text:
                found.append({"layer": layer.name, "what": "weights", "text": f"{blob.name}: {text}"})
    return found


def _difference(one: np.ndarray | None, other: np.ndarray | None) -> str:
    if one is None or other is None:
        return f"only {'there' if one is None else 'here'}"
    if np.array_equal(one, other, equal_nan=True):
        return ""
    largest = float(np.nanmax(np.abs(one))) or 1.0
    gap = float(np.nanmax(np.abs(one - other)))
    return f"differs by up to {gap:.4g} ({gap / largest:.2g} of its largest value)"


def of_values(comparison: Comparison) -> dict[str, Any]:
    """What `compare` found: each blob's difference, and the first that diverges."""
    rows = [
        {
            "layer": one.layer,
            "what": "diverges" if one.problem else "agrees",
            "text": f"blob {one.blob!r}: {one.problem if one.problem not in (None, 'diverges') else _gap(one)}",
        }
        for one in comparison.rows
    ]
    return {"rows": rows, "first": comparison.first.blob if comparison.first else None}


def _gap(one: Any) -> str:
    return (
        f"differs by up to {one.absolute:.4g} ({one.relative:.2g} of its largest value)" if one.absolute else "the same"
    )


def with_reference(model: CaffeModel, reference: str | Path | Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The model beside arrays that another program computed."""
    return of_values(compare(model, None, reference))


def with_other_model(model: CaffeModel, other: CaffeModel, name: str, values: np.ndarray) -> dict[str, Any]:
    """Two models on one picture: every blob that both have."""
    names = _both(model, other, name)
    ours, theirs = (computed_blobs(one, names, {name: values}) for one in (model, other))
    return of_values(Comparison(tuple(row(model, n, ours[n], theirs[n], SAME) for n in names), SAME))


def _both(model: CaffeModel, other: CaffeModel, name: str) -> Sequence[str]:
    theirs = set(computable(other, name))
    return [blob for blob in computable(model, name) if blob in theirs and blob != name]
