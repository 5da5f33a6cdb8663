"""Stored blobs -> layers of a plan, by layer name. Caffe: Net::CopyTrainedLayersFrom in net.cpp."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_caffe.converters.infer import Plan
from keras_caffe.converters.read_weights import LayerBlobs, read_weights
from keras_caffe.errors import CaffeWarning, Option, WeightsError, instead
from keras_caffe.known import recognise
from keras_caffe.layers.base import Blob
from keras_caffe.proto.wire import StoredBlob
from keras_caffe.shapes import Sizes

SKIP = Option("skip_mismatch", True, "to leave the layer as filled")


@dataclass(frozen=True)
class MatchedBlob:
    """A file's blob that fits a layer's blob of `shape`, as the `StoredValues` of that blob."""

    blob: StoredBlob
    shape: Sizes

    def copy(self, permutation: tuple[int, ...] | None = None) -> np.ndarray:
        return self.blob.copy(self.shape, permutation)


MatchedBlobs = dict[int, dict[int, MatchedBlob]]
"""{node index: {blob index: what the files hold for it}}"""


@dataclass
class Report:
    """What loading did, by Caffe layer name.

    Args:
        loaded: layers whose blobs came from a file.
        skipped: {layer: why} of layers that did not fit (only with skip_mismatch).
        kept: layers with blobs that no file has: they keep their filler's or earlier values.
        ignored: layers with blobs in a file that the net does not have.
        known: the famous net that this looks like, and what its publishers feed it with; nothing applies it.
    """

    loaded: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    known: str = ""

    def __str__(self) -> str:
        lines = [f"this looks like {self.known}"] if self.known else []
        lines += [f"{len(self.loaded)} layers loaded"]
        lines += [f"skipped {name}: {why}" for name, why in self.skipped.items()]
        lines += [f"left as filled: {', '.join(self.kept)}"] if self.kept else []
        lines += [f"not in this net: {', '.join(self.ignored)}"] if self.ignored else []
        return "\n".join(lines)


def match(
    plan: Plan,
    files: Iterable[str | os.PathLike[str]],
    *,
    skip_mismatch: bool = False,
    changed: Mapping[int, Sequence[Blob]] | None = None,
) -> tuple[MatchedBlobs, Report]:
    """Finds the layer of every stored blob; sets nothing.

    Args:
        plan: from `infer`.
        files: weight files, applied in this order; a later one wins.
        skip_mismatch: report layers that do not fit instead of raising.
        changed: {node index: the blobs that a layer has by now}, where these are others than planned.

    Raises:
        ReadError: a file is missing or broken.
        WeightsError: a layer has another number of blobs or other shapes than in the file.
    """
    arrays: MatchedBlobs = {}
    report = Report()
    loaded: set[int] = set()
    skipped = report.skipped if skip_mismatch else None
    named: dict[str, list[int]] = {}
    for node in plan.net.nodes:
        named.setdefault(node.name, []).append(node.index)
    for file in files:
        for layer_blobs in read_weights(file):
            if layer_blobs.name not in named:
                report.ignored += [layer_blobs.name] if layer_blobs.blobs else []
                continue
            # Of several layers with one name, Caffe fills the first, but from HDF5 files the last.
            index = named[layer_blobs.name][-1 if _from_hdf5(layer_blobs) else 0]
            blobs = (changed or {}).get(index)
            if _match_layer(plan, index, layer_blobs, str(file), arrays, skipped, blobs):
                loaded.add(index)
    report.loaded = [plan.net.nodes[index].name for index in sorted(loaded)]
    report.kept = [p.node.name for index, p in plan.layers.items() if p.blobs and index not in loaded]
    _warn(report, [str(file) for file in files])
    report.known = str(recognise(plan) or "")
    return arrays, report


def _warn(report: Report, files: Sequence[str]) -> None:
    """Says aloud what a caller may not expect: skipped layers, and files that fill nothing."""
    if report.skipped:
        warnings.warn(f"layers left as they were: {report}", CaffeWarning, stacklevel=5)
    elif files and report.kept and not report.loaded:
        warnings.warn(
            f"{', '.join(files)}: no layer of this net is in it; the net has {', '.join(report.kept[:3])}, the file "
            f"{', '.join(report.ignored[:3]) or 'nothing'}. Is it another net's?",
            CaffeWarning,
            stacklevel=5,
        )


def _from_hdf5(layer_blobs: LayerBlobs) -> bool:
    return not layer_blobs.type


def _match_layer(
    plan: Plan,
    index: int,
    layer_blobs: LayerBlobs,
    file: str,
    arrays: MatchedBlobs,
    skipped: dict[str, str] | None,
    changed: Sequence[Blob] | None,
) -> bool:
    """Adds what fits to `arrays`; whether there was anything. A misfit goes into `skipped`, or is raised if None."""
    blobs = plan.blobs(index) if changed is None else changed
    try:
        fitting = {i: _fit(stored, blobs[i].shape) for i, stored in _paired(plan, index, blobs, layer_blobs)}
    except WeightsError as error:
        error.at(where=file, layer=f"{layer_blobs.name!r} ({plan.net.nodes[index].type})")
        if skipped is None:
            raise
        skipped[layer_blobs.name] = f"{error.problem}: expected {error.expected}, the file has {error.received}"
        return False
    if changed is not None:  # what a layer shares may stand elsewhere by now: its own blobs are filled
        arrays[index] = arrays.pop(index, {}) | fitting
        return bool(blobs)
    for i, matched in fitting.items():
        owner, blob = plan.owners.get((index, i), (index, i))
        arrays.setdefault(owner, {})[blob] = MatchedBlob(matched.blob, plan.blobs(owner)[blob].shape)
    return bool(blobs)


def _paired(plan: Plan, index: int, blobs: Sequence[Blob], layer_blobs: LayerBlobs) -> Iterator[tuple[int, StoredBlob]]:
    stored = [*layer_blobs.blobs, *[None] * (len(blobs) - len(layer_blobs.blobs))]
    missing = [i for i, blob in enumerate(stored) if blob is None]
    # HDF5 files leave out blobs that the layer shares with an earlier one.
    allowed = _from_hdf5(layer_blobs) and all((index, i) in plan.owners for i in missing)
    if len(stored) > len(blobs) or (missing and not allowed):
        raise WeightsError(
            "another number of blobs than the layer has",
            expected=f"{len(blobs)} ({', '.join(b.name for b in blobs) or 'none'})",
            received=len(stored) - len(missing),
            fix=(*plan.layers[index].layer.other_blobs, SKIP),
        )
    return ((i, blob) for i, blob in enumerate(stored) if blob is not None)


def _fit(blob: StoredBlob, shape: Sizes) -> MatchedBlob:
    """The stored blob for a layer's shape; legacy shapes of 4 axes (C3D: 5) match when they agree from the right."""
    have = tuple(blob.array.shape)
    padded = (1,) * (len(have) - len(shape)) + tuple(shape)
    if have == tuple(shape) or (blob.legacy and have == padded):
        return MatchedBlob(blob, shape)
    raise WeightsError(
        "a stored blob has another shape than the layer's",
        expected=tuple(shape),
        received=have,
        fix=("Check the prototxt against the file.", SKIP),
    )


def _with_blobs(layers: Mapping[str, Any]) -> list[str]:
    return [name for name, layer in layers.items() if layer.caffe_blobs]


def set_params(layers: Mapping[str, Any], params: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Sets variables from {Caffe layer name: arrays in Caffe's order}, all or none of them.

    Raises:
        WeightsError: unknown layer, another number of blobs or another shape.
    """
    pending = []
    for name, arrays in params.items():
        received = f"{len(arrays)} arrays"
        if name not in layers:
            near = instead([name], _with_blobs(layers))
            raise WeightsError(
                "the net has no layer with blobs of this name", layer=repr(name), received=received, **near
            )
        if len(layers[name].caffe_blobs) != len(arrays):
            raise WeightsError(
                "another number of blobs than the layer has",
                layer=repr(name),
                expected=f"{len(layers[name].caffe_blobs)} blobs",
                received=received,
            )
        for bound, array in zip(layers[name].caffe_blobs, arrays, strict=True):
            if np.shape(array) != tuple(bound.blob.shape):
                raise WeightsError(
                    f"blob {bound.blob.name!r} has another shape",
                    layer=repr(name),
                    expected=tuple(bound.blob.shape),
                    received=np.shape(array),
                )
            pending.append((bound, np.array(array, "float32")))
    for bound, array in pending:
        bound.set(array)
