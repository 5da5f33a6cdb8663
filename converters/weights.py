"""Stored blobs -> layers of a plan, by layer name. Caffe: Net::CopyTrainedLayersFrom in net.cpp."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from keras_caffe.converters.infer import Plan, Step
from keras_caffe.converters.read import Blob as StoredBlob
from keras_caffe.converters.read import LayerBlobs, read_weights
from keras_caffe.errors import WeightsError
from keras_caffe.shapes import Shape

Arrays = dict[int, dict[int, np.ndarray]]
"""{node index: {blob index: array in Caffe's shape}}"""


@dataclass
class Report:
    """What loading did, by Caffe layer name.

    Args:
        loaded: layers whose blobs came from a file.
        skipped: {layer: why} of layers that did not fit (only with skip_mismatch).
        kept: layers with blobs that no file has: they keep their filler's or earlier values.
        ignored: layers with blobs in a file that the net does not have.
    """

    loaded: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{len(self.loaded)} layers loaded"]
        lines += [f"skipped {name}: {why}" for name, why in self.skipped.items()]
        lines += [f"left as filled: {', '.join(self.kept)}"] if self.kept else []
        lines += [f"not in this net: {', '.join(self.ignored)}"] if self.ignored else []
        return "\n".join(lines)


def match(plan: Plan, files: Iterable[str | Path], *, skip_mismatch: bool = False) -> tuple[Arrays, Report]:
    """Finds the layer of every stored blob; sets nothing.

    Args:
        plan: from `infer`.
        files: weight files, applied in this order; a later one wins.
        skip_mismatch: report layers that do not fit instead of raising.

    Raises:
        ReadError: a file is missing or broken.
        WeightsError: a layer has another number of blobs or other shapes than in the file.
    """
    targets = _first_by_name(plan)
    arrays: Arrays = {}
    report = Report()
    for file in files:
        for source in read_weights(file):
            _match_layer(source, targets, str(file), arrays, report, skip_mismatch)
    report.loaded = [plan.steps[index].node.name for index in sorted(arrays)]
    report.kept = [s.node.name for i, s in enumerate(plan.steps) if s.blobs and i not in arrays]
    return arrays, report


def _first_by_name(plan: Plan) -> dict[str, tuple[int, Step]]:
    targets: dict[str, tuple[int, Step]] = {}
    for index, step in enumerate(plan.steps):
        targets.setdefault(step.node.name, (index, step))
    return targets


def _match_layer(
    source: LayerBlobs,
    targets: Mapping[str, tuple[int, Step]],
    file: str,
    arrays: Arrays,
    report: Report,
    skip_mismatch: bool,
) -> None:
    if source.name not in targets:
        if source.blobs:
            report.ignored.append(source.name)
        return
    index, step = targets[source.name]
    try:
        found = {i: _fit(blob, step.blobs[i].shape) for i, blob in _paired(source, step)}
    except WeightsError as error:
        error.at(where=file, layer=f"{source.name!r} ({step.node.type})")
        if not skip_mismatch:
            raise
        report.skipped[source.name] = f"{error.problem}: expected {error.expected}, the file has {error.received}"
        return
    if found:
        arrays[index] = {**arrays.get(index, {}), **found}


def _paired(source: LayerBlobs, step: Step) -> Iterator[tuple[int, StoredBlob]]:
    if len(source.blobs) != len(step.blobs):
        raise WeightsError(
            "another number of blobs than the layer has",
            expected=f"{len(step.blobs)} ({', '.join(b.name for b in step.blobs) or 'none'})",
            received=len(source.blobs),
            fix="Check bias_term and the layer's type, or pass skip_mismatch=True to leave the layer as filled.",
        )
    return ((i, blob) for i, blob in enumerate(source.blobs) if blob is not None)


def _fit(blob: StoredBlob, shape: Shape) -> np.ndarray:
    """The stored array in the layer's shape; legacy 4-axis shapes match when they agree from the right."""
    have = tuple(blob.array.shape)
    padded = (1,) * (4 - len(shape)) + tuple(shape) if len(shape) <= 4 else shape
    if have == tuple(shape) or (blob.legacy and have == padded):
        return blob.array.reshape(shape)
    raise WeightsError(
        "a stored blob has another shape than the layer's",
        expected=tuple(shape),
        received=have,
        fix="Check the prototxt against the file, or pass skip_mismatch=True to leave the layer as filled.",
    )


def set_params(layers: Mapping[str, Any], params: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Sets variables from {Caffe layer name: arrays in Caffe's order}, all or none of them.

    Raises:
        WeightsError: unknown layer, another number of blobs or another shape.
    """
    pending = []
    for name, arrays in params.items():
        if name not in layers or len(layers[name].caffe_blobs) != len(arrays):
            blobs = layers[name].caffe_blobs if name in layers else ()
            raise WeightsError(
                "another number of blobs than the layer has" if name in layers else "no such layer with blobs",
                layer=repr(name),
                expected=f"{len(blobs)} blobs" if name in layers else f"one of {', '.join(layers)}",
                received=f"{len(arrays)} arrays",
            )
        for (blob, variable), array in zip(layers[name].caffe_blobs, arrays, strict=True):
            array = np.asarray(array, "float32")
            if array.shape != tuple(blob.shape):
                raise WeightsError(
                    f"blob {blob.name!r} has another shape",
                    layer=repr(name),
                    expected=tuple(blob.shape),
                    received=array.shape,
                )
            pending.append((variable, blob.to_keras(array)))
    for variable, array in pending:
        variable.assign(np.asarray(array, order="C"))
