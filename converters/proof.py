"""An exported net, run in an engine beside the model that it was made of."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np

from keras_caffe.converters.comparison import Row, computed_blobs, row
from keras_caffe.converters.model import CaffeModel, output_name
from keras_caffe.converters.rebuild import node_blobs, plan_again, rebuild
from keras_caffe.converters.sample_shapes import sample_shapes
from keras_caffe.errors import CaffeError, ExportError, Option
from keras_caffe.shapes import Shape, Sizes

Arrays = Mapping[str, np.ndarray]


class Engine(Protocol):
    """What runs an export."""

    @property
    def outputs(self) -> Sequence[str]:
        """Names of the net's outputs, or of the blobs that are given in their place."""

    @property
    def inputs(self) -> Mapping[str, Shape]:
        """{input blob: its sizes in Caffe's order}; None for open ones."""

    def run(self, fed: Arrays) -> Arrays:
        """{output: what it computes}, all in Caffe's order."""


def prove(model: CaffeModel, engine: Engine, tolerance: float, given: Arrays | None = None) -> tuple[Row, ...]:
    """Runs an export and the model on the same random inputs: two batches, and three sizes where sizes are open.

    Args:
        model: what was exported.
        engine: what runs the export.
        tolerance: greatest difference that is taken for rounding, as a part of a blob's largest value.
        given: inputs that are not random, in Caffe's order and of the export's own sizes.

    Returns:
        One row for each output of the export: the worst of all runs.

    Raises:
        ExportError: the engine computes something else, or refuses the export; the error names the worst blob.
    """
    values = {output_name(model.net, value): value for value in model.plan.outputs()}
    names = {name: values.get(name, name) for name in engine.outputs}
    rows: dict[str, Row] = {}
    for inputs, sized in _runs(model, engine):
        fed = {**inputs, **(given or {})}
        wanted = computed_blobs(sized, list(names.values()), fed)
        found = engine.run(fed)
        for name, value in names.items():
            one = replace(row(model, value, found[name], wanted[value], tolerance), blob=name)
            rows[name] = max(rows.get(name, one), one, key=_badness)
    worst = max(rows.values(), key=_badness)
    if worst.problem:
        raise ExportError(
            f"the export computes something else than the net: blob {worst.blob!r}",
            layer=f"{worst.layer!r} ({worst.type})",
            expected=f"a difference of at most {tolerance:g} of the largest value",
            received=worst.problem if math.isnan(worst.relative) else f"{worst.relative:.2g}",
            fix=Option("tolerance", ..., "to allow a greater one"),
        )
    return tuple(rows.values())


def _badness(row: Row) -> tuple[bool, float]:
    return row.problem is not None, math.inf if math.isnan(row.relative) else row.relative


def write_report(file: Path, rows: Sequence[Row]) -> None:
    """Writes the rows as JSON."""
    file.write_text(json.dumps([asdict(one) for one in rows], indent=1) + "\n", encoding="utf-8")


def own_words(error: Exception) -> str:
    """The first line of what an engine says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _runs(model: CaffeModel, engine: Engine) -> Iterator[tuple[dict[str, np.ndarray], CaffeModel]]:
    """Inputs, and the model that takes their sizes."""
    sample = sample_shapes(model.plan)
    shapes = {name: _filled(sizes, sample[name]) for name, sizes in engine.inputs.items()}
    yield _random(shapes, 0), model
    open_batch = all(sizes[0] is None for sizes in engine.inputs.values() if sizes)
    yield _random({name: (2 * s[0], *s[1:]) if open_batch and s else s for name, s in shapes.items()}, 1), model
    images = [name for name, sizes in engine.inputs.items() if len(sizes) == 4 and sizes[2] is None]
    if images:
        sized = _any_size(model, images)
        fitting = (resized for resized in _resized(shapes, images) if _takes(sized, resized))
        for seed, resized in enumerate(islice(fitting, 2), 2):
            yield _random(resized, seed), sized


def _filled(sizes: Shape, sample: Sizes) -> Sizes:
    return tuple(known if size is None else size for size, known in zip(sizes, sample, strict=True))


def _resized(shapes: Mapping[str, Sizes], images: Sequence[str]) -> Iterator[dict[str, Sizes]]:
    """Two sizes, an odd one among them; the double for nets that take multiples of something only."""
    for change in (lambda n: n + 5, lambda n: 3 * n // 4 | 1, lambda n: 2 * n):
        yield {name: (*s[:2], *map(change, s[2:])) if name in images else s for name, s in shapes.items()}


def _takes(model: CaffeModel, shapes: Mapping[str, Sizes]) -> bool:
    inputs = {model.net.values[value].blob: value for value in model.plan.inputs}
    try:
        model.plan.check_shapes({inputs[name]: shape for name, shape in shapes.items()})
    except CaffeError:
        return False
    return True


def _random(shapes: Mapping[str, Sizes], seed: int) -> dict[str, np.ndarray]:
    """Standard normal where there are three axes or more; else 0, as these may be labels or indices."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.standard_normal(shape, "float32") if len(shape) > 2 else np.zeros(shape, "float32")
        for name, shape in shapes.items()
    }


def _any_size(model: CaffeModel, images: Sequence[str]) -> CaffeModel:
    """The model for images of any size."""
    shapes = dict(model.recipe.input_shapes)
    shapes.update({name: (*shapes[name][:2], None, None) for name in images})
    return rebuild(model, plan_again(model, model.net, shapes, model.data_format), node_blobs(model), shapes)
