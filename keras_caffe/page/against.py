"""The net that another one, other weights or another program's blobs are compared with."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_caffe.errors import CaffeError
from keras_caffe.page.difference import of_layers, of_weights, with_other_model, with_reference
from keras_caffe.page.images import prepared
from keras_caffe.page.subject import Filling, Subject, subject

WEIGHTS = (".caffemodel", ".h5")


def against_of(
    shown: Subject, against: Any, pictures: Sequence[Any], preparation: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    """What differs: `rows` of {layer, what, text}, and the `first` blob that diverges, if values were compared.

    Raises:
        ReadError: the other file cannot be read.
    """
    name = against if isinstance(against, str | os.PathLike) else getattr(against, "name", "the other")
    found: dict[str, Any] = {"name": Path(str(name)).name if len(str(name)) < 255 else "the other net", "first": None}
    suffix = Path(against).suffix if isinstance(against, str | os.PathLike) and len(str(against)) < 4096 else ""
    if suffix == ".npz" or isinstance(against, Mapping):
        return found | with_reference(shown.loaded(), against)
    other = _other(shown, against, suffix, options)
    rows = of_layers(shown.scene, other.scene)
    if shown.values and other.values and shown.scene.plan:
        rows += of_weights(shown.scene, shown.values, _by_name(shown, other))
    found["rows"] = rows
    for picture in pictures:
        try:
            blob, values = prepared(shown.loaded(), picture, **preparation)
            compared = with_other_model(shown.loaded(), other.loaded(), blob, values)
        except CaffeError as error:
            rows.append({"layer": "", "what": "not compared", "text": shown.said(error)})
        else:
            found["rows"], found["first"] = rows + compared["rows"], compared["first"]
    return found


def _other(shown: Subject, against: Any, suffix: str, options: Mapping[str, Any]) -> Subject:
    if suffix in WEIGHTS and shown.files:
        return subject(shown.files["prototxt"], against, options, shown.flags)
    if suffix in WEIGHTS:
        filled = {shown.phase: Filling(shown.values_of(against))}
        return Subject(str(against), shown.phase, shown.scenes, filled, model=_reloaded(shown, against))
    source, weights = against if isinstance(against, tuple) else (against, None)
    return subject(source, weights, options, shown.flags)


def _reloaded(shown: Subject, weights: Any) -> Any:
    """The same model with other weights."""
    model = shown.loaded()
    other = type(model).from_config(model.get_config())
    other.load_weights_from(weights, skip_mismatch=True)
    return other


def _by_name(shown: Subject, other: Subject) -> Any:
    """The other net's values for this net's nodes."""
    places = {layer.name: place for place, layer in enumerate(other.scene.layers)}
    names = {node: shown.scene.layers[place].name for place, node in shown.scene.nodes.items()}

    def values(node: int, blob: int) -> Any:
        theirs = other.scene.nodes.get(places.get(names[node], -1))
        if theirs is None or other.values is None or other.scene.plan is None:
            return None
        return other.values(theirs, blob) if blob < len(other.scene.plan.blobs(theirs)) else None

    return values
