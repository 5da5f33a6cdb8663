"""`.caffemodel.h5`: group /data holds one group per layer, with the blobs as datasets 0, 1, ..."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from keras_caffe.errors import ReadError, WeightsError
from keras_caffe.proto.wire import StoredBlob

COMPRESSION_LIMIT = 1100  # no filter of HDF5 packs floats tighter than deflate's 1032 to 1


StoredBlobs = tuple[StoredBlob | None, ...]


def read_hdf5_weights(path: Path) -> list[tuple[str, StoredBlobs]]:
    """Layer names and blobs of a `.caffemodel.h5`, in the order of the names; raises ReadError or WeightsError."""
    try:
        with h5py.File(path, "r") as file:
            data = _member(file, "data", path)
            if not isinstance(data, h5py.Group):
                raise ReadError("this HDF5 file is not a trained net", where=str(path), expected="a group /data")
            return _layers(data, path)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        if isinstance(error, ReadError | WeightsError):
            raise
        raise ReadError(
            f"the HDF5 file cannot be read: {error}",
            where=str(path),
            expected="a complete HDF5 file",
            fix="Fetch or write it again.",
            cause=error,
        ) from None


def _layers(data: h5py.Group, path: Path) -> list[tuple[str, StoredBlobs]]:
    layers: list[tuple[str, StoredBlobs]] = []
    pending, seen = [("", data)], set()
    while pending:
        name, group = pending.pop()
        if group in seen:  # a second hard link; following all of them may never end
            raise ReadError("a group has two names", where=str(path), layer=name)
        seen.add(group)
        members = {key: _member(group, key, path) for key in group}
        blobs = {key: member for key, member in members.items() if isinstance(member, h5py.Dataset)}
        groups = [(f"{name}/{key}" if name else key, m) for key, m in members.items() if key not in blobs]
        if name and (blobs or not groups):
            layers.append((name, _blobs(blobs, name, path)))
        pending += reversed(groups)
    return layers


def _member(group: h5py.Group, key: str, path: Path) -> Any:
    """A group or dataset that this very file holds; links to other files are not followed."""
    link = group.get(key, getlink=True)
    if link is None:
        return None
    member = group[key] if isinstance(link, h5py.HardLink) else None
    if isinstance(member, h5py.Group):
        return member
    if isinstance(member, h5py.Dataset) and not member.external and not member.is_virtual:
        return member
    raise ReadError(f"{group.name}/{key} is neither a group nor a dataset of this file", where=str(path))


def _blobs(datasets: dict[str, h5py.Dataset], layer: str, path: Path) -> StoredBlobs:
    numbers = {key for key in datasets if key.isascii() and key.isdigit() and int(key) < 1000}
    if len(numbers) < len(datasets):
        odd = sorted(set(datasets) - numbers)[0]
        raise ReadError("a blob has no number", where=str(path), layer=layer, expected="0, 1, ...", received=odd)
    blobs: list[StoredBlob | None] = [None] * (1 + max(map(int, numbers), default=-1))
    for key in numbers:
        blobs[int(key)] = StoredBlob(_values(datasets[key], f"{layer}, blob {key}", path))
    return tuple(blobs)


def _values(dataset: h5py.Dataset, layer: str, path: Path) -> np.ndarray:
    if dataset.shape is None or dataset.dtype.kind != "f":
        raise WeightsError(
            "the blob holds no floats", where=str(path), layer=layer, expected="float32", received=dataset.dtype
        )
    stored = dataset.id.get_storage_size()
    allowed = stored * (COMPRESSION_LIMIT if dataset.chunks else 1)
    needed = math.prod(dataset.shape) * dataset.dtype.itemsize
    if needed > allowed or stored > path.stat().st_size:
        raise WeightsError(
            "the number of stored values does not match the shape",
            where=str(path),
            layer=layer,
            expected=f"{needed} bytes for shape {list(dataset.shape)}",
            received=f"{stored} bytes",
        )
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(dataset[()], np.float32)
