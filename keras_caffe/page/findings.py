"""What is worth knowing before one trusts a net: what `check` says, and what its numbers show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from keras_caffe.converters.check import Finding
from keras_caffe.converters.detections import DETECTORS
from keras_caffe.converters.model import CaffeModel
from keras_caffe.page.scene import Scene, behind

SOME = 40  # names that are told
FULL = 0.99  # part of a blob's values from which on its units count as saturated
FORMATS = {
    "V0": 'Caffe\'s first format (V0: layers { layer { type: "conv" } })',
    "V1": "Caffe's format up to 2014 (V1: layers { type: CONVOLUTION })",
    "V2": 'Caffe\'s format since 2014 (V2: layer { type: "Convolution" })',
}
SATURATED = {"Sigmoid": (1e-3, 1 - 1e-3), "TanH": (-1 + 1e-3, 1 - 1e-3)}


def row(finding: Finding) -> dict[str, Any]:
    """A finding as plain values; of what is about no layer, with its line."""
    line = f" (line {finding.line})" if finding.line and not finding.layer else ""
    return {
        "severity": finding.severity,
        "kind": finding.kind,
        "layer": finding.layer,
        "text": FORMATS.get(finding.text, finding.text) + line,
        "cure": finding.cure,
    }


def warned(kind: str, texts: Sequence[str], layer: str | None = None) -> list[dict[str, Any]]:
    """Findings of the page's own."""
    return [{"severity": "warning", "kind": kind, "layer": layer, "text": text, "cure": ""} for text in texts]


def of_batches(scene: Scene, findings: Sequence[Finding]) -> Iterator[dict[str, Any]]:
    """The blobs that depend on what else is in the batch, by the layers that `check` found."""
    named = {finding.layer for finding in findings if finding.kind == "batch statistics"}
    places = behind(scene, (place for place, layer in enumerate(scene.layers) if layer.name in named))
    blobs = list(dict.fromkeys(top for place in sorted(places) for top in scene.layers[place].top))
    if blobs:
        text = f"what else is in the batch changes blobs ({len(blobs)}): {', '.join(blobs[:SOME])}"
        yield from warned("batch statistics", [text + (", ..." if len(blobs) > SOME else "")])


def not_run(scene: Scene, picture: str) -> list[str]:
    """What a picture does not reach, because the layers that make it are not known or were refused."""
    left = [layer for place, layer in enumerate(scene.layers) if place not in scene.nodes]
    blobs = list(dict.fromkeys(top for layer in left for top in layer.top))
    some = ", ".join(blobs[:SOME]) + (", ..." if len(blobs) > SOME else "")
    return (
        [f"{picture} was run through the part of the net that could be planned; not computed: {some}"] if blobs else []
    )


def numeric(model: CaffeModel, picture: str, blobs: Mapping[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    """What the blobs of a forward pass show: constants, saturated units, NaN, detectors that find nothing."""
    fed = {model.net.values[value].blob for value in model.plan.inputs}
    broken = [name for name, array in blobs.items() if not np.isfinite(array).all()]
    if broken:
        yield from warned("values", [_broken(broken, blobs[broken[0]], picture)], model.net.producer(broken[0]).name)
    constant = {name for name, array in blobs.items() if array.size > 1 and array.min() == array.max()} - fed
    for name, array in blobs.items():
        node = model.net.producer(name)
        # What is computed from a constant blob is constant as a rule, so the first one is named.
        if name not in fed and name not in broken and not (name in constant and constant & _computed_from(model, name)):
            for text in _odd(node.type, array):
                yield from warned("values", [f"blob {name!r} {text} for {picture}"], node.name)
    for node in model.net.nodes:
        if node.type in DETECTORS and node.outputs:
            yield from warned("detector", list(_nothing(model, node, picture, blobs)), node.name)


def _broken(names: Sequence[str], first: np.ndarray, picture: str) -> str:
    bad = first.size - np.count_nonzero(np.isfinite(first))
    others = f"; so do blobs behind it, {len(names)} in all" if len(names) > 1 else ""
    return f"blob {names[0]!r} holds {bad:,} NaN or infinite values of {first.size:,} for {picture}{others}"


def _computed_from(model: CaffeModel, name: str) -> set[str]:
    """The blobs that the layers which write a blob read."""
    return {blob for node in model.net.nodes if name in node.message.top for blob in node.message.bottom} - {name}


def _odd(kind: str, array: np.ndarray) -> Iterator[str]:
    if not array.size:
        yield "is empty"
    elif array.size > 1 and array.min() == array.max() and kind not in ("DummyData", "PriorBox", "PriorBoxClustered"):
        yield f"is constant, {array.flat[0]:g} throughout,"
    elif kind in SATURATED and array.size > 1:
        low, high = SATURATED[kind]
        part = float(np.mean((array < low) | (array > high)))
        if part > FULL:
            yield f"is saturated: {part:.1%} of its values are at the ends of {kind}"
    elif kind == "ReLU" and array.ndim > 1 and array.shape[1] > 1:
        silent = int((~(array > 0).any(axis=(0, *range(2, array.ndim)))).sum())
        if silent > FULL * array.shape[1]:
            yield f"has {silent} of {array.shape[1]} channels that are zero"


def _nothing(model: CaffeModel, node: Any, picture: str, blobs: Mapping[str, np.ndarray]) -> Iterator[str]:
    """Why a detector found nothing."""
    rows = blobs.get(model.net.values[node.outputs[0]].blob)
    if rows is None or (rows.reshape(-1, 7)[:, 1] >= 0).any():
        return
    param = node.message.detection_output_param
    scores = blobs.get(model.net.values[node.inputs[1]].blob) if len(node.inputs) > 1 else None
    why = ""
    if node.type == "DetectionOutput" and scores is not None and param.num_classes:
        classes = scores.reshape(-1, param.num_classes)
        best = np.delete(classes, param.background_label_id, 1).max(initial=0.0)
        why = f": the highest score is {best:.4g}, confidence_threshold is {param.confidence_threshold:g}"
        if np.isnan(best):
            why = ": its scores hold NaN"
    yield f"layer {node.name!r} finds nothing in {picture}{why}"
