"""Blob by blob beside arrays that Caffe computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_caffe.converters.choices import TOLERANCE
from keras_caffe.converters.definition import check_not_swapped, read_definition
from keras_caffe.converters.load import load
from keras_caffe.converters.model import CaffeModel, keras_name
from keras_caffe.converters.read import check_numbers
from keras_caffe.errors import NetError, ReadError, unreadable
from keras_caffe.layout import edge_order, inverse


@dataclass(frozen=True)
class Row:
    """One blob.

    Args:
        blob: its name.
        layer, type: the layer that writes it last.
        shape: in Caffe's order.
        absolute: largest absolute difference; NaN where the shapes differ.
        relative: that, over the largest absolute value of the reference.
        problem: why it counts as different; None: it agrees.
    """

    blob: str
    layer: str
    type: str
    shape: tuple[int, ...]
    absolute: float
    relative: float
    problem: str | None = None


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Args:
        rows: the blobs that both have, in the order in which the net writes them.
        tolerance: greatest relative difference that is taken for rounding.
        unknown: names in the reference that are no blobs of the net; the tops of Caffe's Split layers are left out.
    """

    rows: tuple[Row, ...]
    tolerance: float
    unknown: tuple[str, ...] = ()

    @property
    def first(self) -> Row | None:
        """The first blob that diverges."""
        return next((row for row in self.rows if row.problem), None)

    def __bool__(self) -> bool:
        """Whether all blobs agree."""
        return self.first is None


def compare(
    prototxt: str | Path | Any,
    weights: Any = None,
    reference: str | Path | Mapping[str, np.ndarray] | None = None,
    *,
    tolerance: float = TOLERANCE,
    **options: Any,
) -> Comparison:
    """Runs a net on the inputs of a reference and compares every blob with it.

    Args:
        prototxt, weights: as for `load`; or a CaffeModel and no weights.
        reference: `.npz` file or dict {blob: array in Caffe's order} of a forward pass, as pycaffe's `net.blobs` hold
            them; the net's inputs hold what was fed.
        tolerance: greatest difference taken for rounding, as a part of a blob's largest value.
        **options: further arguments of `load`.

    Raises:
        ReadError: the reference cannot be read, or has no blob of the net.
        NetError: it lacks an input. All that `load` raises.

    Examples:
        >>> from keras_caffe import samples
        >>> files = samples.path("lenet.prototxt"), samples.path("lenet.caffemodel")
        >>> model = keras_caffe.load(*files, data_format="channels_first")
        >>> digits = samples.digits()[0][:2] * np.float32(samples.SCALE)
        >>> reference = {"data": digits, "prob": model.predict_on_batch(digits)}
        >>> bool(keras_caffe.compare(model, None, reference))
        True
    """
    arrays = read_reference(reference)
    model = prototxt if isinstance(prototxt, CaffeModel) else _loaded(prototxt, weights, arrays, options)
    inputs = [model.net.values[value].blob for value in model.plan.inputs]
    names = [name for name in model.blobs if name in arrays and name not in inputs]
    if not names:
        raise ReadError(
            "the reference has no blob of the net", expected=", ".join(model.blobs), received=", ".join(arrays)
        )
    for name in (*inputs, *names):
        if name in arrays:
            check_numbers(np.asarray(arrays[name]), f"the reference's blob {name!r}")
    fed = {name: arrays[name] for name in inputs if name in arrays}
    blobs = computed_blobs(model, names, fed, training=model.net.phase == "TRAIN")
    rows = (row(model, name, blobs[name], np.asarray(arrays[name]), tolerance) for name in _in_order(model, names))
    unknown = tuple(name for name in arrays if name not in model.blobs and "_split_" not in name)
    return Comparison(tuple(rows), tolerance, unknown)


def read_reference(reference: Any) -> Mapping[str, np.ndarray]:
    """{blob: array} of a `.npz` file. Raises ReadError if it is none."""
    if isinstance(reference, Mapping):
        return reference
    if reference is None:
        raise ReadError("there is no reference", expected="a .npz file or a dict {blob: array}")
    try:
        with Path(reference).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, AttributeError, TypeError) as error:
        raise unreadable(reference, error, problem="this is not a .npz file of arrays") from None
    except Exception as error:  # zipfile and zlib have errors of their own
        raise ReadError("the .npz file is broken", where=str(reference), received=error) from None


def _loaded(prototxt: Any, weights: Any, arrays: Mapping[str, np.ndarray], options: Mapping[str, Any]) -> CaffeModel:
    check_not_swapped(prototxt, weights)
    definition = read_definition(prototxt, strict=options.get("strict", False), fork=options.get("fork"))
    model = load(definition, weights, **options)
    inputs = [model.net.values[value].blob for value in model.plan.inputs]
    shapes = {name: arrays[name].shape for name in inputs if name in arrays}
    if all(model.caffe_shapes[name] == shape for name, shape in shapes.items()):
        return model
    return load(definition, weights, **{**options, "input_shapes": {**(options.get("input_shapes") or {}), **shapes}})


def computed_blobs(
    model: CaffeModel, names: Sequence[str], inputs: Mapping[str, np.ndarray], *, training: bool = False
) -> dict[str, np.ndarray]:
    """{blob: what the model computes}, all in Caffe's order. Raises NetError if an input is missing."""
    fed = {keras_name(name): array.transpose(_edge(model, array.ndim)) for name, array in inputs.items()}
    part = model.extract(names)
    missing = [name for name in part.input_names if name not in fed and name not in model.tensors.defaults]
    if missing:
        raise NetError(
            f"the reference lacks input {', '.join(map(repr, missing))}",
            received=", ".join(inputs) or "no inputs",
            fix="Dump the inputs along with the other blobs.",
        )
    asked = {name: array for name, array in fed.items() if name in part.input_names}
    outputs = part(asked, training=training)
    return {name: caffes_array(model, value) for name, value in outputs.items()}


def caffes_array(model: CaffeModel, tensor: Any) -> np.ndarray:
    """What a model gives out at its edge, in Caffe's order."""
    array = keras.ops.convert_to_numpy(tensor)
    return array.transpose(inverse(_edge(model, array.ndim)))


def _edge(model: CaffeModel, rank: int) -> tuple[int, ...]:
    return edge_order(rank, model.data_format)


def _in_order(model: CaffeModel, names: list[str]) -> Iterator[str]:
    yield from sorted(names, key=lambda name: model.net.last_write(name).producer)


def row(model: CaffeModel, name: str, computed: np.ndarray, wanted: np.ndarray, tolerance: float) -> Row:
    """One blob, computed in one way and in another."""
    node = model.net.nodes[model.net.last_write(name).producer]
    return row_of((name, node.name, node.type), computed, wanted, tolerance)


def row_of(about: tuple[str, str, str], computed: np.ndarray, wanted: np.ndarray, tolerance: float) -> Row:
    """The row of a blob, of which this is the name, the layer and the type."""
    if computed.shape != wanted.shape:
        return Row(*about, computed.shape, np.nan, np.nan, f"the reference has shape {wanted.shape}")
    alike = (computed == wanted) | (np.isnan(computed) & np.isnan(wanted))  # infinities and NaNs too
    difference = np.where(alike, 0.0, np.abs(computed.astype("float64") - wanted))
    absolute = float(difference.max(initial=0.0))
    largest = float(np.abs(wanted[np.isfinite(wanted)]).max(initial=0.0))
    relative = absolute / largest if largest else absolute
    problem = None if relative <= tolerance else "diverges"
    return Row(*about, computed.shape, absolute, relative, problem)
