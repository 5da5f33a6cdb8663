"""Stored blobs -> layers of a plan, by layer name. Caffe: Net::CopyTrainedLayersFrom in net.cpp."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from keras_caffe.converters.infer import Plan, Step
from keras_caffe.converters.read_weights import LayerBlobs, read_weights
from keras_caffe.errors import WeightsError
from keras_caffe.proto.wire import Blob as StoredBlob
from keras_caffe.shapes import Shape


@dataclass(frozen=True)
class Fitted:
    """A stored blob that fits a layer's blob of `shape`; nothing is read before `copy`."""

    blob: StoredBlob
    shape: Shape

    def copy(self) -> np.ndarray:
        return self.blob.copy().reshape(self.shape)


Arrays = dict[int, dict[int, Fitted]]
"""{node index: {blob index: what the files hold for it}}"""


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
    # HDF5 files leave out blobs that the layer shares with an earlier one.
    missing = len(step.blobs) - len(source.blobs)
    if missing < 0 or (missing > 0 and source.type):
        raise WeightsError(
            "another number of blobs than the layer has",
            expected=f"{len(step.blobs)} ({', '.join(b.name for b in step.blobs) or 'none'})",
            received=len(source.blobs),
            fix="Check bias_term and the layer's type, or pass skip_mismatch=True to leave the layer as filled.",
        )
    return ((i, blob) for i, blob in enumerate(source.blobs) if blob is not None)


def _fit(blob: StoredBlob, shape: Shape) -> Fitted:
    """The stored blob for a layer's shape; legacy 4-axis shapes match when they agree from the right."""
    have = tuple(blob.array.shape)
    padded = (1,) * (4 - len(shape)) + tuple(shape) if len(shape) <= 4 else shape
    if have == tuple(shape) or (blob.legacy and have == padded):
        return Fitted(blob, shape)
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
        for held, array in zip(layers[name].caffe_blobs, arrays, strict=True):
            if np.shape(array) != tuple(held.blob.shape):
                raise WeightsError(
                    f"blob {held.blob.name!r} has another shape",
                    layer=repr(name),
                    expected=tuple(held.blob.shape),
                    received=np.shape(array),
                )
            pending.append((held, np.array(array, "float32")))
    for held, array in pending:
        held.set(array)
