"""An exported net, run in an engine beside the model that it was made of."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

import numpy as np

from keras_caffe.converters.comparison import Row, computed_blobs, row
from keras_caffe.converters.keras_names import keras_name
from keras_caffe.converters.model import CaffeModel, output_name
from keras_caffe.converters.preprocessing import FittedPreprocessing, prepared
from keras_caffe.converters.rebuild import node_blobs, plan_again, rebuild
from keras_caffe.converters.sample_shapes import sample_shapes
from keras_caffe.converters.tail import Tail, computed_behind, picking_layers
from keras_caffe.errors import CaffeError, ExportError, Option, ReadError, unreadable
from keras_caffe.layers import Accuracy, LabelsequenceAccuracy, SegAccuracy
from keras_caffe.layout import Order, edge_order, inverse, to_caffe
from keras_caffe.runtimes import Arrays, Runtime
from keras_caffe.shapes import Shape, Sizes

MEASURES = (Accuracy, LabelsequenceAccuracy, SegAccuracy)


class Engine:
    """An export in a runtime; it takes and gives {blob: array in Caffe's order}.

    Args:
        runtime: what runs the export.
        data_format: order of the axes at the export's edges.
        names: {input blob: its name in the export}; default: they have one name.
        outputs: the blobs that the export gives, in its order, where one may have another name there, as that of an
            input has; default: they have one name.
        pictures: {input blob that the export takes as pictures: what it does with them}.
        picture_format: order of the axes of pictures; default: `data_format`.
    """

    def __init__(
        self,
        runtime: Runtime,
        data_format: str,
        names: Mapping[str, str] | None = None,
        outputs: Sequence[str] = (),
        pictures: Mapping[str, FittedPreprocessing] | None = None,
        picture_format: str | None = None,
    ) -> None:
        self.runtime: Runtime = runtime
        self.data_format: str = data_format
        self.names: Mapping[str, str] = names or {name: name for name in runtime.inputs}
        self.pictures: Mapping[str, FittedPreprocessing] = pictures or {}
        self._picture_format = picture_format or data_format
        self.outputs: list[str] = list(dict.fromkeys(outputs)) or list(runtime.outputs)
        sizes = {blob: runtime.inputs[name] for blob, name in self.names.items()}
        self.inputs: dict[str, Shape] = {
            blob: to_caffe(shape, self._order_in(blob, len(shape))) for blob, shape in sizes.items()
        }

    def run(self, fed: Arrays) -> dict[str, np.ndarray]:
        """{output: what the export computes}. Raises ExportError if the runtime fails."""
        found = self.runtime.run(self.as_given(fed))
        arrays = zip(self.outputs, (found[name] for name in self.runtime.outputs), strict=True)
        return {name: a.transpose(inverse(self._order(a.ndim))) for name, a in arrays}

    def as_given(self, fed: Arrays) -> dict[str, np.ndarray]:
        """{input of the export: array} of arrays in Caffe's order."""
        return {name: fed[blob].transpose(self._order_in(blob, fed[blob].ndim)) for blob, name in self.names.items()}

    def as_blobs(self, fed: Arrays) -> dict[str, np.ndarray]:
        """{blob: array in Caffe's order} of arrays as the export takes them."""
        arrays = {blob: fed[name] for blob, name in self.names.items()}
        return {blob: a.transpose(inverse(self._order_in(blob, a.ndim))) for blob, a in arrays.items()}

    def for_net(self, fed: Arrays) -> dict[str, np.ndarray]:
        """{blob: what the export makes of its input before the net}, both in Caffe's order."""
        fitted = self.pictures
        return {blob: prepared(fitted[blob], array) if blob in fitted else array for blob, array in fed.items()}

    def _order_in(self, blob: str, rank: int) -> Order:
        return edge_order(rank, self._picture_format if blob in self.pictures else self.data_format)

    def _order(self, rank: int) -> Order:
        return edge_order(rank, self.data_format)


def prove(
    model: CaffeModel, engine: Engine, tolerance: float, given: Arrays | None = None, cut: Sequence[str] = ()
) -> tuple[Row, ...]:
    """Runs an export and the model on the same random inputs: two batches, and three sizes where sizes are open.

    Args:
        model: what was exported.
        engine: what runs the export.
        tolerance: greatest difference that is taken for rounding, as a part of a blob's largest value.
        given: inputs that are not random, as the export takes them and of its own sizes.
        cut: layers from which on the model computes of what the export found before them, which it gives, too.

    Returns:
        One row for each output of the export: the worst of all runs.

    Raises:
        ExportError: the engine computes something else, or refuses the export; the error names the worst blob.
    """
    names = _values_of(model, engine.outputs)
    rows: dict[str, Row] = {}
    for inputs, sized in _runs(model, engine):
        fed = {**inputs, **(engine.as_blobs(given) if given else {})}
        given_net, found = engine.for_net(fed), engine.run(fed)
        wanted = computed_blobs(sized, list(names.values()), given_net)
        if cut:
            behind = computed_behind(sized, cut, names, given_net, found)
            wanted.update({names[name]: array for name, array in behind.items()})
        for name, value in names.items():
            one = replace(row(model, value, found[name], wanted[value], tolerance), blob=name)
            rows[name] = max(rows.get(name, one), one, key=_badness)
    return checked(tuple(rows.values()), tolerance)


def _values_of(model: CaffeModel, outputs: Sequence[str]) -> dict[str, str]:
    """{output: id of the value that it gives}."""
    net = model.net
    values = {output_name(net, value): net.held(value) for value in model.plan.outputs()}
    return {name: values.get(name) or net.last_write(name).id for name in outputs}


Opened = Callable[[Sequence[str] | None], AbstractContextManager[Engine]]
"""(outputs; None: the export's own) -> what runs the export, or another one of the same net with these outputs"""


def prove_picks(model: CaffeModel, opened: Opened, tolerance: float, given: Arrays | None = None) -> tuple[Row, ...]:
    """`prove`, for exports in which rounding may have layers pick others, such as the first of two like detections.

    Where one gives others than the model, it is run with outputs that show what such layers are given: that must be
    the model's, and what comes of it what the model makes of the same.
    """
    with opened(None) as engine:
        try:
            return prove(model, engine, tolerance, given)
        except ExportError:
            values = _values_of(model, engine.outputs)
            if not (layers := picking_layers(model, list(values.values()))):
                raise
    read = {value: model.net.values[value].blob for value in Tail(model, layers, values).read}
    blobs = [blob if model.net.last_write(blob).id == value else value for value, blob in read.items()]
    with opened(list(dict.fromkeys([*values, *blobs]))) as engine:
        return prove(model, engine, tolerance, given, layers)


def checked(rows: tuple[Row, ...], tolerance: float) -> tuple[Row, ...]:
    """The rows. Raises ExportError, which names the worst blob, if one is over the tolerance."""
    worst = max(rows, key=_badness)
    if worst.problem:
        raise ExportError(
            f"the export computes something else than the net: blob {worst.blob!r}",
            layer=f"{worst.layer!r} ({worst.type})" if worst.layer else None,
            expected=f"a difference of at most {tolerance:g} of the largest value",
            received=worst.problem if math.isnan(worst.relative) else f"{worst.relative:.2g}",
            fix=Option("tolerance", ..., "to allow a greater one"),
        )
    return rows


def _badness(row: Row) -> tuple[bool, float]:
    return row.problem is not None, math.inf if math.isnan(row.relative) else row.relative


def check_report(file: str | Path | None) -> None:
    """Refuses a report before the work that it is about. Raises ReadError: it is a folder, or lies in none."""
    if file is not None and (Path(file).is_dir() or not Path(file).parent.is_dir()):
        raise ReadError("the report cannot be written", where=str(file), expected="a file in a folder that is there")


def write_report(file: str | Path | None, rows: Sequence[Row]) -> None:
    """Writes the rows as JSON, if there is a file for them. Raises ReadError."""
    if file is None:
        return
    try:
        Path(file).write_text(json.dumps([asdict(one) for one in rows], indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise unreadable(file, error, problem="the report cannot be written") from error


def sample_inputs(model: CaffeModel, engine: Engine) -> dict[str, np.ndarray]:
    """{input blob: what is random, or 0, in the sizes that the net declares}, in Caffe's order."""
    return _random(_sample_sizes(model, engine), 0, engine.pictures, _labels(model))


def _sample_sizes(model: CaffeModel, engine: Engine) -> dict[str, Sizes]:
    """Of the export's inputs, and of those of the model that it lacks, as they give it a size alone."""
    sample = sample_shapes(model.plan)
    known = {blob: shape for blob, shape in sample.items() if keras_name(blob) not in model.tensors.defaults}
    return {**known, **{name: _filled(sizes, sample[name]) for name, sizes in engine.inputs.items()}}


def _runs(model: CaffeModel, engine: Engine) -> Iterator[tuple[dict[str, np.ndarray], CaffeModel]]:
    """Inputs, and the model that takes their sizes."""
    shapes = _sample_sizes(model, engine)
    labels = _labels(model)
    yield _random(shapes, 0, engine.pictures, labels), model
    several = not any(planned.layer.one_image for planned in model.plan.layers.values())
    open_batch = several and all(sizes[0] is None for sizes in engine.inputs.values() if sizes)
    doubled = {name: (2 * s[0], *s[1:]) if open_batch and s else s for name, s in shapes.items()}
    if _takes(model, doubled):
        yield _random(doubled, 1, engine.pictures, labels), model
    cut = {blob for blob, fitted in engine.pictures.items() if fitted.resize or fitted.crop}
    images = [name for name, sizes in engine.inputs.items() if len(sizes) == 4 and sizes[2] is None and name not in cut]
    if images:
        sized = _any_size(model, images)
        fitting = (resized for resized in _resized(shapes, images) if _takes(sized, resized))
        for seed, resized in enumerate(islice(fitting, 2), 2):
            yield _random(resized, seed, engine.pictures, labels), sized


def _filled(sizes: Shape, sample: Sizes) -> Sizes:
    return tuple(known if size is None else size for size, known in zip(sizes, sample, strict=True))


def _resized(shapes: Mapping[str, Sizes], images: Sequence[str]) -> Iterator[dict[str, Sizes]]:
    """Two sizes, an odd one among them; the double for nets that take multiples of something only."""
    for change in (lambda n: n + 5, lambda n: 3 * n // 4 | 1, lambda n: 2 * n):
        yield {name: (*s[:2], *map(change, s[2:])) if name in images else s for name, s in shapes.items()}


def _takes(model: CaffeModel, shapes: Mapping[str, Sizes]) -> bool:
    """Whether the net takes inputs of these shapes and leaves something of them: engines refuse images of no pixels."""
    inputs = {model.net.values[value].blob: value for value in model.plan.inputs}
    known = {value: model.plan.shapes[value] for value in model.plan.inputs}
    try:
        found = model.plan.check_shapes({**known, **{inputs[name]: shape for name, shape in shapes.items()}})
    except CaffeError:
        return False
    return all(0 not in shape for shape in found.values())


def _labels(model: CaffeModel) -> set[str]:
    """Blobs that losses and measures alone read, as their labels."""
    labels, others = set(), set()
    for planned in model.plan.layers.values():
        layer, blobs = planned.layer, [model.net.values[value].blob for value in planned.node.inputs]
        places = layer.no_gradient if layer.is_loss else (1,) if isinstance(layer, MEASURES) else ()
        read = {blobs[place] for place in places if place < len(blobs)}
        labels |= read
        others |= {blob for blob in blobs if blob not in read or blobs.count(blob) > 1}
    return labels - others


def _random(
    shapes: Mapping[str, Sizes], seed: int, pictures: Mapping[str, FittedPreprocessing], labels: Container[str]
) -> dict[str, np.ndarray]:
    """Pictures; else standard normal where there are three axes or more, or 0, as for labels and indices."""
    rng = np.random.default_rng(seed)
    fed = {}
    for name, shape in shapes.items():
        if name in pictures:
            fed[name] = rng.integers(0, 256, _picture_size(shape, pictures[name])).astype("float32")
        else:
            still = len(shape) < 3 or name in labels
            fed[name] = np.zeros(shape, "float32") if still else rng.standard_normal(shape, "float32")
    return fed


def _picture_size(shape: Sizes, fitted: FittedPreprocessing) -> Sizes:
    """Of a picture that becomes an input of this shape: another one, if the export cuts or resizes it."""
    return (*shape[:2], shape[2] + 5, shape[3] + 8) if fitted.resize or fitted.crop else shape


def _any_size(model: CaffeModel, images: Sequence[str]) -> CaffeModel:
    """The model for images of any size."""
    shapes = dict(model.recipe.input_shapes)
    shapes.update({name: (*shapes[name][:2], None, None) for name in images})
    return rebuild(model, plan_again(model, model.net, shapes, model.data_format), node_blobs(model), shapes)
