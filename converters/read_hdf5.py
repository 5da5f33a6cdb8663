"""`.caffemodel.h5`: group /data holds one group per layer, with the blobs as datasets 0, 1, ..."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from keras_caffe.errors import ReadError, WeightsError
from keras_caffe.hdf5_file import check_size, member, opened
from keras_caffe.proto.wire import StoredBlob

StoredBlobs = tuple[StoredBlob | None, ...]


def read_hdf5_weights(path: Path) -> list[tuple[str, StoredBlobs]]:
    """Layer names and blobs of a `.caffemodel.h5`, in the order of the names; raises ReadError or WeightsError."""
    with opened(path) as file:
        data = member(file, "data", path)
        if not isinstance(data, h5py.Group):
            raise ReadError("this HDF5 file is not a trained net", where=str(path), expected="a group /data")
        return _layers(data, path)


def _layers(data: h5py.Group, path: Path) -> list[tuple[str, StoredBlobs]]:
    layers: list[tuple[str, StoredBlobs]] = []
    pending, seen = [("", data)], set()
    while pending:
        name, group = pending.pop()
        if group in seen:  # a second hard link; following all of them may never end
            raise ReadError("a group has two names", where=str(path), layer=name)
        seen.add(group)
        members = {key: member(group, key, path) for key in group}
        blobs = {key: member for key, member in members.items() if isinstance(member, h5py.Dataset)}
        groups = [(f"{name}/{key}" if name else key, m) for key, m in members.items() if key not in blobs]
        if name and (blobs or not groups):
            layers.append((name, _blobs(blobs, name, path)))
        pending += reversed(groups)
    return layers


def _blobs(datasets: dict[str, h5py.Dataset], layer: str, path: Path) -> StoredBlobs:
    numbers = {key for key in datasets if key.isascii() and key.isdigit() and int(key) < 1000}
    if len(numbers) < len(datasets):
        odd = sorted(set(datasets) - numbers)[0]
        raise ReadError("a blob has no number", where=str(path), layer=layer, expected="0, 1, ...", received=odd)
    blobs: list[StoredBlob | None] = [None] * (1 + max(map(int, numbers), default=-1))
    for key in numbers:
        blobs[int(key)] = StoredBlob(floats(datasets[key], f"{layer}, blob {key}", path))
    return tuple(blobs)


def floats(dataset: h5py.Dataset, layer: str, path: Path) -> np.ndarray:
    """A dataset of floats as float32; raises WeightsError if it is none, or too short for its shape."""
    if dataset.shape is None or dataset.dtype.kind != "f":
        raise WeightsError(
            "the blob holds no floats", where=str(path), layer=layer, expected="float32", received=dataset.dtype
        )
    check_size(dataset, path, layer)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(dataset[()], np.float32)
