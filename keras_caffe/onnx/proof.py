"""An ONNX file run in ONNX Runtime beside the model that it was made of."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from keras_caffe.converters.comparison import Row, computed_blobs, row
from keras_caffe.converters.model import CaffeModel, output_name
from keras_caffe.converters.rebuild import node_blobs, plan_again, rebuild
from keras_caffe.converters.sample_shapes import sample_shapes
from keras_caffe.errors import ExportError, Option
from keras_caffe.layout import edge_order, inverse, to_caffe
from keras_caffe.shapes import Sizes

Arrays = Mapping[str, np.ndarray]


def prove(model: CaffeModel, file: Path, tolerance: float, data_format: str) -> tuple[Row, ...]:
    """Runs a file and the model on the same random inputs: two batches, and three sizes where sizes are open.

    Args:
        model: what was exported.
        file: the ONNX file.
        tolerance: greatest difference that is taken for rounding, as a part of a blob's largest value.
        data_format: order of the axes at the file's edges.

    Returns:
        One row for each output of the file: the worst of all runs.

    Raises:
        ExportError: ONNX Runtime is not there, refuses the file, or computes something else; the error names the worst
            blob.
    """
    engine = Engine(file, data_format)
    values = {output_name(model.net, value): value for value in model.plan.outputs()}
    names = {name: values.get(name, name) for name in engine.outputs}
    rows: dict[str, Row] = {}
    for fed, sized in _runs(model, engine):
        wanted = computed_blobs(sized, list(names.values()), fed)
        found = engine.run(fed)
        for name, value in names.items():
            one = replace(row(model, value, found[name], wanted[value], tolerance), blob=name)
            rows[name] = max(rows.get(name, one), one, key=_badness)
    worst = max(rows.values(), key=_badness)
    if worst.problem:
        raise ExportError(
            f"the file computes something else than the net: blob {worst.blob!r} (layer {worst.layer!r}, {worst.type})",
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


class Engine:
    """ONNX Runtime with a file; it takes and gives {blob: array in Caffe's order}."""

    def __init__(self, file: Path, data_format: str) -> None:
        try:
            import onnxruntime
        except ImportError:
            fix = "Install it with `pip install 'keras-caffe[onnx]'`."
            raise ExportError("ONNX Runtime is needed to check ONNX files", fix=fix) from None
        try:
            self.session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        except Exception as error:  # its classes are no part of its interface
            raise ExportError("ONNX Runtime refuses the file", received=_own_words(error)) from error
        self.data_format = data_format
        self.outputs = [output.name for output in self.session.get_outputs()]
        # {input: its sizes in Caffe's order}, names for those that are open
        self.inputs = {
            i.name: to_caffe(i.shape, edge_order(len(i.shape), data_format)) for i in self.session.get_inputs()
        }

    def run(self, fed: Arrays) -> dict[str, np.ndarray]:
        asked = {name: fed[name].transpose(edge_order(fed[name].ndim, self.data_format)) for name in self.inputs}
        try:
            found = self.session.run(self.outputs, asked)
        except Exception as error:
            raise ExportError("ONNX Runtime cannot run the file", received=_own_words(error)) from error
        arrays = dict(zip(self.outputs, found, strict=True))
        return {name: a.transpose(inverse(edge_order(a.ndim, self.data_format))) for name, a in arrays.items()}


def _own_words(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _runs(model: CaffeModel, engine: Engine) -> Iterator[tuple[dict[str, np.ndarray], CaffeModel]]:
    """Inputs, and the model that takes their sizes."""
    sample = sample_shapes(model.plan)
    shapes = {name: sample[name] for name in engine.inputs}
    yield _random(shapes, 0), model
    open_batch = {sizes[0] for sizes in engine.inputs.values() if sizes} == {"N"}
    yield _random({name: (2 * s[0], *s[1:]) if open_batch else s for name, s in shapes.items()}, 1), model
    images = [name for name, sizes in engine.inputs.items() if len(sizes) == 4 and isinstance(sizes[2], str)]
    if images:
        sized = _any_size(model, images)
        for seed, change in enumerate((lambda n: n + 5, lambda n: 3 * n // 4 | 1), 2):
            resized = {name: (*s[:2], change(s[2]), change(s[3])) for name, s in shapes.items() if name in images}
            yield _random({**shapes, **resized}, seed), sized


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
