"""Models to Caffe files: prototxt, `.caffemodel`, `.caffemodel.h5`. Caffe: Net::ToProto, Net::ToHDF5 in net.cpp."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from keras_caffe import proto
from keras_caffe.converters.read_binary import varint_bytes
from keras_caffe.converters.share import Slot
from keras_caffe.errors import CaffeError, ReadError, WeightsError
from keras_caffe.hdf5_file import created
from keras_caffe.proto.wire import DELIMITED
from keras_caffe.whole import place, scratch

Params = Sequence[Sequence[np.ndarray]]
"""The blobs of each layer in Caffe's order"""
Piece = bytes | memoryview

SIZE_LIMIT = 2**31 - 1  # bytes; protobuf reads no longer message


def write_caffemodel(
    path: str | os.PathLike[str],
    net: Any,
    params: Params,
    *,
    diffs: Params | None = None,
    shared: Collection[Slot] = (),
    hdf5: bool | None = None,
) -> None:
    """Writes trained values; the file appears whole or not at all.

    Args:
        path: the file; an existing one is replaced.
        net: a NetParameter with Caffe's Split layers (`with_splits`).
        params: the blobs of each of its layers.
        diffs: their gradients, if they shall be in the file too.
        shared: (layer, blob) that belong to an earlier layer; HDF5 files leave their values out, but not their diffs.
        hdf5: HDF5 or binary protobuf; default: HDF5 if the name ends in `.h5`.

    Raises:
        WeightsError: more than 2 GB for a binary file. ReadError: the file cannot be written.
    """
    with replacing(path) as temporary:
        if hdf5 or (hdf5 is None and os.fspath(path).endswith(".h5")):
            _write_hdf5(temporary, net, params, diffs, shared)
        else:
            with temporary.open("wb") as file:
                file.writelines(_pieces(net, params, diffs))


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A new file with the name of `path` that takes its place, once it is on the disk, if the block ends well."""
    target = Path(path).resolve()  # where `path` is a link, the link stays
    try:
        with scratch(target.parent) as folder:
            temporary = folder / target.name
            yield temporary
            place(temporary, target)
    except CaffeError:  # about another file, though it may be an OSError
        raise
    except OSError as error:
        problem = f"the file cannot be written: {error.strerror or error}"
        raise ReadError(problem, where=str(path), cause=error) from None


def write_npz(file: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """What `np.savez` writes, of arrays with any names: savez takes none called `file`."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _number(message_class: Any, field: str) -> int:
    return int(message_class.DESCRIPTOR.fields_by_name[field].number)


def _tag(message_class: Any, field: str, length: int) -> bytes:
    return varint_bytes(_number(message_class, field) << 3 | DELIMITED) + varint_bytes(length)


def _size(pieces: Sequence[Piece]) -> int:
    return sum(len(piece) if isinstance(piece, bytes) else piece.nbytes for piece in pieces)


def _pieces(net: Any, params: Params, diffs: Params | None) -> list[Piece]:
    """The file in order; the values are views on the arrays."""
    pieces: list[Piece] = [proto.NetParameter(name=net.name).SerializeToString()]
    for index, (layer, arrays) in enumerate(zip(net.layer, params, strict=True)):
        content = _layer(layer, arrays, diffs[index] if diffs else [None] * len(arrays))
        pieces += [_tag(proto.NetParameter, "layer", _size(content)), *content]
    if _size(pieces) > SIZE_LIMIT:
        raise WeightsError(
            "the net is too large for a binary file",
            expected="at most 2 GB",
            received=f"{_size(pieces) / 1e9:.1f} GB",
            fix="Give the file a name that ends in .h5.",
        )
    return pieces


def _layer(layer: Any, arrays: Sequence[np.ndarray], diffs: Sequence[np.ndarray | None]) -> list[Piece]:
    """A LayerParameter with its fields in the order of their numbers, as C++ writes them."""
    before, after = proto.LayerParameter(), proto.LayerParameter()
    before.CopyFrom(layer)
    after.CopyFrom(layer)
    number = _number(proto.LayerParameter, "blobs")
    for field in proto.LayerParameter.DESCRIPTOR.fields:
        if field.number >= number:
            before.ClearField(field.name)
        if field.number <= number:
            after.ClearField(field.name)
    pieces: list[Piece] = [before.SerializeToString()]
    for array, diff in zip(arrays, diffs, strict=True):
        pieces += blob_field(proto.LayerParameter, "blobs", array, diff)
    return [*pieces, after.SerializeToString()]


def blob_field(message_class: Any, name: str, array: np.ndarray, diff: np.ndarray | None = None) -> list[Piece]:
    """A message's field that holds a BlobProto, in pieces; the values are views on the arrays."""
    pieces: list[Piece] = []
    for field, values in (("data", array), ("diff", diff)):
        if values is not None:
            view = np.ascontiguousarray(values, "<f4").reshape(-1).view(np.uint8).data
            pieces += [_tag(proto.BlobProto, field, view.nbytes), view]
    shape = proto.BlobProto()
    shape.shape.dim.extend(array.shape)
    pieces += [shape.SerializeToString()] if array.ndim else []
    return [_tag(message_class, name, _size(pieces)), *pieces]


def _write_hdf5(path: Path, net: Any, params: Params, diffs: Params | None, shared: Collection[Slot]) -> None:
    with created(path) as file:
        for name, values, left_out in (("data", params, shared), ("diff", diffs, ())):
            if values is not None:
                group = file.create_group(name)
                for index, (layer, arrays) in enumerate(zip(net.layer, values, strict=True)):
                    _write_group(group.require_group(layer.name), index, arrays, left_out)


def _write_group(group: Any, layer: int, arrays: Sequence[np.ndarray], left_out: Collection[Slot]) -> None:
    for index, array in enumerate(arrays):
        if (layer, index) not in left_out and str(index) not in group:
            group.create_dataset(str(index), data=np.asarray(array, np.float32))
