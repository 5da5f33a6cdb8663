"""What a net makes of a picture: every blob, the classes or boxes it finds, and which pixels decide."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from keras_caffe.converters.detections import DETECTORS, by_picture
from keras_caffe.converters.graph import AUTOMATIC
from keras_caffe.converters.model import CaffeModel
from keras_caffe.page.images import picture_input, pixels, prepared
from keras_caffe.page.pictures import planes, png, thinned, tiled, upright
from keras_caffe.page.saliency import forward
from keras_caffe.page.weights import statistics

MAPS = 64  # of a blob that are shown
BUDGET = 2_400_000  # pixels of all blobs' pictures together, in one of the two shadings
ROOM = 36_000  # pixels of a blob's picture
BARS = 1000  # values of a vector that are shown
CLASSES = 5
BOXES = 50


def activations(
    model: CaffeModel, image: Any, labels: Sequence[str] = (), cut: Collection[str] = (), **preparation: Any
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What is to be seen of one picture, and all blobs.

    Args:
        model: a loaded net that takes a picture.
        image: a picture's path, or an array (C, H, W) as the net takes it.
        labels: names of the classes.
        cut: blobs that are outputs of the model and not of the net, which goes on where the model does not.
        **preparation: as of `prepared`.
    """
    name, values = prepared(model, image, **preparation)
    names = computable(model, name)
    outputs = [value for value in model.net.outputs if model.net.values[value].blob not in cut]
    blobs, deciding = forward(model, names, name, values, outputs)
    blobs = {blob: np.asarray(array)[:1] if np.ndim(array) else np.asarray(array) for blob, array in blobs.items()}
    room = min(ROOM, BUDGET // max(1, len(blobs)))
    with ThreadPoolExecutor() as pool:  # making a PNG, and most of NumPy, lets other threads run
        looks = dict(zip(blobs, pool.map(partial(_look, room=room), blobs.values()), strict=True))
    is_file = isinstance(image, str | Path)
    shown = pixels(image, picture_input(model.plan)[1]) if is_file else values[0]
    found = _found(model, blobs, labels, outputs)
    for top, boxes in found.get("counts", {}).items():
        if not boxes:
            looks[top].pop("bars", None)  # of the row of -1 that says so
    seen = {
        "name": Path(image).name if is_file else "array",
        "picture": png(upright(shown)),
        "size": [shown.shape[2], shown.shape[1]],
        "blobs": looks,
        **found,
        **deciding,
    }
    return seen, blobs


def computable(model: CaffeModel, name: str) -> list[str]:
    """The blobs that one input and what has a default suffice for, in the net's order."""
    fed = {name, *model.tensors.defaults}
    blobs = [blob for blob in model.net.blobs if blob != AUTOMATIC]
    needed = {blob: model.plan.inputs_of([model.net.last_write(blob).id]) for blob in blobs}
    return [blob for blob in blobs if all(model.net.values[value].blob in fed for value in needed[blob])]


def _look(array: np.ndarray, room: int) -> dict[str, Any]:
    one = array[0] if array.ndim > 1 else array
    look = statistics(one)
    if one.size == max(one.shape, default=1):
        look["bars"] = [float(f"{value:.4g}") if np.isfinite(value) else None for value in one.ravel()[:BARS]]
    elif one.size:
        maps = thinned(planes(one), room, MAPS)
        picture = tiled(maps)
        whole = png(tiled(maps, per_map=False))
        look |= {"picture": png(picture), "whole": whole, "size": list(picture.shape[1::-1]), "maps": len(planes(one))}
    return look


def _found(
    model: CaffeModel, blobs: Mapping[str, np.ndarray], labels: Sequence[str], outputs: Sequence[str]
) -> dict[str, Any]:
    """The best classes of the first output that is a vector of scores, or all detectors' boxes."""
    made = [(node.type, model.net.values[value].blob) for node in model.net.nodes for value in node.outputs[:1]]
    tops = [top for kind, top in made if kind in DETECTORS and top in blobs]
    if tops:
        found = [next(by_picture(blobs[top], 1))[:BOXES] for top in tops]
        boxes = [[_name(int(row[0]), labels), *map(_short, row[1:])] for row in np.concatenate(found)]
        return {"boxes": boxes, "from": ", ".join(tops), "counts": dict(zip(tops, map(len, found), strict=True))}
    for value in outputs:
        top = model.net.values[value].blob
        scores = blobs[top][0].ravel() if top in blobs and blobs[top].ndim > 1 else np.zeros(0)
        if scores.size == max(blobs[top].shape[1:], default=0) > 1 if top in blobs else False:
            best = np.argsort(-scores, kind="stable")[:CLASSES]
            return {"classes": [[_name(int(place), labels), _short(scores[place])] for place in best], "from": top}
    return {}


def _name(number: int, labels: Sequence[str]) -> str:
    return f"{number} {labels[number]}" if number < len(labels) else str(number)


def _short(number: Any) -> float | str:
    """A number of four figures; what JSON has no number for, as text."""
    return float(f"{float(number):.4g}") if np.isfinite(number) else "NaN" if np.isnan(number) else f"{number:+}"
