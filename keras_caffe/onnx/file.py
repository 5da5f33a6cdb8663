"""ONNX files: the message, and the learned values straight from where they are, never all of them in memory at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from keras_caffe.converters.read_binary import varint_bytes
from keras_caffe.errors import ExportError
from keras_caffe.proto.wire import DELIMITED

LIMIT = 2**31 - 2**20
"""Bytes; protobuf reads no longer message. Above it the values go into a file beside."""
ALIGNMENT = 4096
Piece = bytes | memoryview


def beside(file: Path) -> Path:
    """Where the values of a model are that is larger than 2 GB."""
    return file.with_name(f"{file.name}.data")


def write(file: Path, model: onnx.ModelProto, weights: Mapping[str, np.ndarray]) -> None:
    """Writes a model with its values, which are in the file or, if it would be too large, `beside` it.

    Args:
        file: where.
        model: the message without its weights.
        weights: {name: values}.
    """
    if _size_of(model, weights) <= LIMIT:
        pieces = _inside(weights)
    else:
        pieces = [_field(onnx.GraphProto, "initializer", tensor) for tensor in _outside(beside(file), weights)]
    with file.open("wb") as opened:
        opened.writelines(_pieces(model, pieces))


def serialized(model: onnx.ModelProto, weights: Mapping[str, np.ndarray]) -> bytes:
    """A model with its values as one file's content. Raises ExportError if that is more than protobuf reads."""
    size = _size_of(model, weights)
    if size > LIMIT:
        raise ExportError("the net is too large to be run from memory", expected=f"up to {LIMIT} bytes", received=size)
    return b"".join(_pieces(model, _inside(weights)))


def _size_of(model: onnx.ModelProto, weights: Mapping[str, np.ndarray]) -> int:
    return model.ByteSize() + sum(values.nbytes for values in weights.values())


def _inside(weights: Mapping[str, np.ndarray]) -> list[Piece]:
    return [piece for name, values in weights.items() for piece in _embedded(name, values)]


def _pieces(model: onnx.ModelProto, weights: list[Piece]) -> Iterator[Piece]:
    """The whole file: repeated fields may stand anywhere in a message, so the weights follow the rest of the graph."""
    envelope = onnx.ModelProto()
    envelope.CopyFrom(model)
    envelope.ClearField("graph")
    graph = model.graph.SerializeToString()
    yield envelope.SerializeToString()
    yield _tag(onnx.ModelProto, "graph", len(graph) + sum(map(_size, weights)))
    yield graph
    yield from weights


def _embedded(name: str, values: np.ndarray) -> list[Piece]:
    """A TensorProto in pieces; the values are a view on the array."""
    head = _header(name, values).SerializeToString()
    raw = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
    start = head + _tag(onnx.TensorProto, "raw_data", raw.nbytes)
    return [_tag(onnx.GraphProto, "initializer", len(start) + raw.nbytes) + start, raw]


def _outside(file: Path, weights: Mapping[str, np.ndarray]) -> Iterator[onnx.TensorProto]:
    """Writes the values into a file beside; the tensors that say where they are."""
    with file.open("wb") as opened:
        for name, values in weights.items():
            opened.write(bytes(-opened.tell() % ALIGNMENT))
            tensor, place = _header(name, values), {"location": file.name, "offset": str(opened.tell())}
            tensor.data_location = onnx.TensorProto.EXTERNAL
            for key, value in (place | {"length": str(values.nbytes)}).items():
                tensor.external_data.add(key=key, value=value)
            opened.write(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
            yield tensor


def _header(name: str, values: np.ndarray) -> onnx.TensorProto:
    type_number = onnx.helper.np_dtype_to_tensor_dtype(values.dtype)
    return onnx.TensorProto(name=name, dims=values.shape, data_type=type_number)


def _field(message: Any, name: str, content: onnx.TensorProto) -> bytes:
    encoded = content.SerializeToString()
    return _tag(message, name, len(encoded)) + encoded


def _tag(message: Any, name: str, length: int) -> bytes:
    number = message.DESCRIPTOR.fields_by_name[name].number
    return varint_bytes(number << 3 | DELIMITED) + varint_bytes(length)


def _size(piece: Piece) -> int:
    return len(piece) if isinstance(piece, bytes) else piece.nbytes
