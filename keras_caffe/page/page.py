"""`keras_caffe.view`: one page that shows what a network is, what it does, and where it goes wrong."""

from __future__ import annotations

import html
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from keras_caffe.converters.write import replacing
from keras_caffe.errors import CaffeError, DataError, Flags, ReadError
from keras_caffe.known import recognise
from keras_caffe.page.against import against_of
from keras_caffe.page.costs import totals
from keras_caffe.page.findings import not_run, of_batches, row, warned
from keras_caffe.page.layers import described, documentation
from keras_caffe.page.subject import Filling, Subject, subject
from keras_caffe.page.weights import problems, seen
from keras_caffe.version import __version__

CALLS = {"weights": "keras_caffe.view(net, weights)", "images": 'keras_caffe.view(net, weights, images="cat.jpg")'}
COMMANDS = {
    "weights": "keras-caffe view NET WEIGHTS",
    "images": "keras-caffe view NET WEIGHTS --image cat.jpg",
}
"""How to have the page show what it does not"""

Follow = Callable[[Iterable[Any], str], Iterable[Any]]
"""(things, what is done with them) -> the things, with a bar that says how many there were"""


def _silently(things: Iterable[Any], text: str) -> Iterable[Any]:
    return things


@dataclass(frozen=True)
class Page:
    """A page that shows a net: one HTML file that works offline.

    Attributes:
        data: what it shows, as plain values.
        html: its text.
    """

    data: Mapping[str, Any]

    @property
    def html(self) -> str:
        text = json.dumps(self.data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        for mark, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):  # no name ends the script element
            text = text.replace(mark, code)
        # A file may hold half of a surrogate pair, which UTF-8 has no bytes for.
        return _template().render(data=text.encode("utf-8", "replace").decode(), name=str(self.data["name"])[:200])

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the page; a file that is there is replaced as a whole."""
        with replacing(Path(path)) as file:
            Path(file).write_text(self.html, encoding="utf-8", errors="replace")
        return Path(path)

    def _repr_html_(self) -> str:
        """The page in a frame, which keeps its styles from the notebook's."""
        framed = html.escape(self.html, quote=True)
        return f'<iframe srcdoc="{framed}" style="width:100%;height:720px;border:1px solid #ccc"></iframe>'


def view(
    model: Any,
    weights: Any = None,
    *,
    images: Any = (),
    against: Any = None,
    path: str | os.PathLike[str] | None = None,
    mean: Any = 0.0,
    scale: float = 1.0,
    labels: Sequence[str] = (),
    progress: Follow = _silently,
    flags: Flags | None = None,
    **options: Any,
) -> Page:
    """Makes a page that shows a net: its graph, costs, weights and activations, and what is wrong with it.

    What cannot be shown, as the shapes behind a layer of an unknown type, or any layer of a text that is no valid
    prototxt, is said on the page.

    Args:
        model: a CaffeModel; or path, text or message of a prototxt.
        weights: `.caffemodel` or `.caffemodel.h5` file, or several; none for a CaffeModel.
        images: pictures to run: paths, or arrays (C, H, W) as the net takes them; or one of these.
        against: what to compare with: another CaffeModel or prototxt, a pair of prototxt and weights, other weights for
            the same net, or a `.npz` (or dict) of blobs that another program computed.
        path: the file to write; default: none is written.
        mean, scale: what is subtracted from a picture's 0 to 255 (a number, one for each channel, blue first, an array
            or a file), and the factor then.
        labels: names of the classes.
        progress: shows how far it is.
        flags: of a command, so that cures name them.
        **options: further arguments of `load`.

    Returns:
        The page, with `.html`, `.save(path)`, and shown as itself in a notebook.

    Raises:
        ReadError: a file is not there, or is no text. DataError: Jinja2, igraph or Pillow is missing.

    Examples:
        >>> from keras_caffe import samples
        >>> model = keras_caffe.load(samples.path("lenet.prototxt"), samples.path("lenet.caffemodel"))
        >>> page = keras_caffe.view(model)
        >>> print(page.save("lenet.html"))
        lenet.html
    """
    _template()
    shown = subject(model, weights, options, flags)
    data = _about(shown)
    for phase in progress(list(shown.scenes), "Drawing the graph"):
        data["scenes"][phase] = _scene(shown, phase, data, progress)
    data["docs"] = documentation([layer.type for scene in shown.scenes.values() for layer in scene.layers])
    pictures = [images] if isinstance(images, (str, os.PathLike, np.ndarray)) else list(images)
    if pictures and shown.values is None:
        data["findings"] += warned("weights", ["no weights were given: what is computed of pictures comes of fillers"])
    for picture in progress(pictures, "Running the net"):
        _run(shown, picture, data, labels, {"mean": mean, "scale": scale})
    if against is not None:
        data["against"] = against_of(shown, against, pictures[:1], {"mean": mean, "scale": scale}, options)
    page = Page(data)
    if path is not None:
        page.save(path)
    return page


def _about(shown: Subject) -> dict[str, Any]:
    return {
        "name": shown.name,
        "version": __version__,
        "phase": shown.phase,
        "findings": [*map(row, shown.findings), *of_batches(shown.scene, shown.findings)],
        "scenes": {},
        "images": [],
        "weighted": shown.values is not None,
        "calls": CALLS if shown.flags is None else COMMANDS,
    }


def _scene(shown: Subject, phase: str, data: dict[str, Any], progress: Follow) -> dict[str, Any]:
    """One phase of the net: layers, boxes, drawing, totals."""
    from keras_caffe.page.grouping import boxes
    from keras_caffe.page.placing import placed

    scene = shown.scenes[phase]
    layers = described(scene)
    first = data["scenes"].get(shown.phase, {"layers": ()})["layers"]
    places, own = _places(first), _places(layers)
    for place, layer in progress(list(enumerate(layers)), "Looking at the weights"):
        if scene.plan and layer.get("blobs"):
            filled = shown.fillings.get(phase)
            layer["filled"] = _filled(shown, filled, layer["name"])
            twin = places.get(layer["name"]) if layer["name"] in own else None
            if twin is not None and _same_weights(layer, first[twin]):
                layer["weights_of"] = twin
            elif filled is not None:
                _add_weights(seen(scene.plan, scene.nodes[place], filled.values), layer, data)
    grouped = boxes(scene)
    return {
        "layers": layers,
        "boxes": [list(chain) for chain in grouped.layers],
        "drawing": placed(grouped),
        "totals": totals(scene.plan, layers),
        "problems": [shown.said(problem) for problem in scene.problems],
        "planned": len(scene.nodes),
    }


def _places(layers: Sequence[dict[str, Any]]) -> dict[str, int]:
    """{name: place} of the layers whose name no other has."""
    times = Counter(layer["name"] for layer in layers)
    return {layer["name"]: place for place, layer in enumerate(layers) if times[layer["name"]] == 1}


def _same_weights(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two layers of one name, in two phases, have the same blobs of the files."""
    of_first = [(blob["name"], blob["shape"], blob.get("owner")) for blob in other.get("blobs", ())]
    return [(blob["name"], blob["shape"], blob.get("owner")) for blob in one["blobs"]] == of_first


def _add_weights(looks: Sequence[dict[str, Any]], layer: dict[str, Any], data: dict[str, Any]) -> None:
    for blob, look in zip(layer["blobs"], looks, strict=True):
        blob.update(look)
    names = [blob["name"] for blob in layer["blobs"]]
    data["findings"] += warned("weights", problems(names, looks), layer["name"])


def _filled(shown: Subject, filled: Filling | None, name: str) -> str:
    report = filled.report if filled else None
    if report is None:
        return "from memory" if shown.model else "no weights given: by its fillers"
    if name in report.skipped:
        return f"not from the file: {report.skipped[name]}"
    return "from the weight file" if name in report.loaded else "by its fillers: no file has this layer"


def _run(shown: Subject, picture: Any, data: dict[str, Any], labels: Sequence[str], preparation: Any) -> None:
    """Adds what a picture makes of the net; a net that cannot run it says so on the page."""
    from keras_caffe.page.activations import activations
    from keras_caffe.page.findings import numeric

    name = Path(picture).name if isinstance(picture, str | os.PathLike) else "the array"
    try:
        looks, blobs = activations(shown.loaded(), picture, labels, shown.scene.missed, **preparation)
    except (ReadError, DataError):
        raise
    except CaffeError as error:
        data["findings"] += warned("image", [f"{name} cannot be shown: {shown.said(error)}"])
        return
    found = [*warned("image", not_run(shown.scene, name)), *numeric(shown.loaded(), name, blobs)]
    if isinstance(picture, str | os.PathLike):
        looks["fed"], unlike = _given(shown, name, preparation)
        found += unlike
    data["images"].append(looks | {"why": [row["text"] for row in found if row["kind"] in ("detector", "image")]})
    data["findings"] += found


def _given(shown: Subject, name: str, preparation: Any) -> tuple[str, list[dict[str, Any]]]:
    """What the net was given of a picture's file, and a finding where its publishers say otherwise."""
    from keras_caffe.page.images import fed_as, picture_input, suggested

    model = shown.loaded()
    (channels, *_), known = picture_input(model.plan)[1], recognise(model)
    fed = fed_as(channels, **preparation)
    if known is None or suggested(known, channels, **preparation):
        return fed, []
    (said,) = warned("image", [f"{name} was given as {fed}; the publishers of the net that this looks like: {known}"])
    how = "--mean and --scale" if shown.flags else "mean= and scale="
    return fed, [said | {"cure": f"Give {how}; where red comes first, view(model, images=[array]) in Python."}]


@cache
def _template() -> Any:
    try:
        import igraph  # noqa: F401
        import jinja2
        import PIL  # noqa: F401
    except ImportError as error:
        raise DataError(
            f"{error.name} is needed to make a page", fix="Install it with `pip install 'keras-caffe[view]'`."
        ) from None
    environment = jinja2.Environment(loader=jinja2.PackageLoader("keras_caffe.page"), autoescape=True)
    return environment.get_template("page.html")
