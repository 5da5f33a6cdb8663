"""Trained values: `.caffemodel` of every generation, `.caffemodel.h5`, and mean images."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from keras_caffe import proto
from keras_caffe.errors import CaffeError, CaffeWarning, Call, ReadError
from keras_caffe.proto.wire import (
    DELIMITED,
    END_GROUP,
    VARINT,
    Field,
    Mapped,
    StoredBlob,
    fields,
    names,
    read_blob,
    text_of,
    varint,
)

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
BLOB_LIMIT = 10_000  # each costs far more memory than its bytes in the file


@dataclass(frozen=True)
class LayerBlobs:
    """What a weights file holds for one layer.

    Attributes:
        name: the layer's name.
        type: its type as the file has it: a V2 name (`Convolution`), a V1 enum (`CONVOLUTION`), a V0 name (`conv`),
            or nothing in HDF5 files.
        blobs: its arrays in Caffe's order. HDF5 files leave out blobs that the layer shares with an earlier one: a gap
            is None, and blobs that are missing at the end are simply not there.
    """

    name: str
    type: str = ""
    blobs: tuple[StoredBlob | None, ...] = ()


def read_weights(path: str | os.PathLike[str]) -> list[LayerBlobs]:
    """Reads a trained net's values, layer by layer in the file's order.

    Args:
        path: a `.caffemodel` of any generation (V0, V1, V2) or a `.caffemodel.h5`.

    Returns:
        One LayerBlobs per layer. The arrays of a binary file are views on it: nothing is read before it is used.

    Raises:
        ReadError: the file is missing, empty, cut off, or of another format.
        WeightsError: a blob holds more or fewer values than its shape says.
    """
    file = Mapped(path)
    if str(path).endswith((".solverstate", ".solverstate.h5")):
        raise ReadError(
            "this is a solver's state, not a net's trained values",
            where=str(path),
            fix=("Give the .caffemodel beside it.", Call("solver.restore", "...", "to go on from the state")),
        )
    if file.bytes(0, 8) == HDF5_MAGIC or str(path).endswith(".h5"):
        from keras_caffe.converters.read_hdf5 import read_hdf5_weights  # h5py is loaded only where it is needed

        return [LayerBlobs(name, "", blobs) for name, blobs in read_hdf5_weights(Path(path))]
    if file.foreign():
        file.refuse("these are not a net's trained values")
    layers = [_layer(file, at) for at in _layers(file)]
    if not layers:
        warnings.warn(CaffeWarning(f"{path}: there are no layers in it"), stacklevel=2)
    return layers


def read_mean(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads a mean image (`.binaryproto`): float32 in the stored shape, commonly (1, C, H, W).

    Raises:
        ReadError: the file is missing, empty, cut off, or of another format.
        WeightsError: it holds more or fewer values than its shape says.
    """
    file = Mapped(path)
    if file.foreign():
        file.refuse("this is not a mean image")
    try:
        return read_blob(file, 0, file.size).copy()
    except CaffeError as error:
        raise error.at(where=str(path)) from None


def _layers(file: Mapped) -> Iterator[Field]:
    """The `layer` and `layers` fields of the NetParameter that the file holds."""
    known = names(proto.NetParameter)
    for at in fields(file, 0, file.size, top=True):
        if at.wire_type == END_GROUP:
            warnings.warn(
                CaffeWarning(f"{file.path}: everything from byte {at.tag} on is ignored, as Caffe ignores it"),
                stacklevel=4,
            )
        elif known.get(at.number) in ("layer", "layers") and at.wire_type == DELIMITED:
            yield at


@dataclass
class _Parts:
    name: str = ""
    type: str = ""
    blobs: list[Field] = field(default_factory=list)


def _layer(file: Mapped, at: Field) -> LayerBlobs:
    v2 = names(proto.NetParameter)[at.number] == "layer"
    parts = _Parts()
    _collect(file, at, names(proto.LayerParameter if v2 else proto.V1LayerParameter), parts)
    blobs = []
    for number, place in enumerate(parts.blobs):
        try:
            blobs.append(read_blob(file, place.start, place.end))
        except CaffeError as error:
            raise error.at(where=str(file.path), layer=f"{parts.name}, blob {number}") from None
    return LayerBlobs(parts.name, parts.type, tuple(blobs))


def _collect(file: Mapped, layer: Field, known: dict[int, str], parts: _Parts) -> None:
    """Finds a layer's name, type and blobs; a V1 layer may hold a V0 layer that has them."""
    for at in fields(file, layer.start, layer.end):
        name = known.get(at.number)
        if name == "blobs" and at.wire_type == DELIMITED:
            parts.blobs.append(at)
            if len(parts.blobs) > BLOB_LIMIT:
                file.refuse(f"a layer has more than {BLOB_LIMIT} blobs", at.tag)
        elif name == "name" and at.wire_type == DELIMITED:
            parts.name = text_of(file, at)
        elif name == "type" and at.wire_type == DELIMITED:
            parts.type = text_of(file, at)
        elif name == "type" and at.wire_type == VARINT:
            parts.type = _enum_name(varint(file, at.start, at.end)[0])
        elif name == "layer" and at.wire_type == DELIMITED:
            _collect(file, at, names(proto.V0LayerParameter), parts)


def _enum_name(number: int) -> str:
    values = proto.V1LayerParameter.LayerType.DESCRIPTOR.values_by_number
    return values[number].name if number in values else str(number)
