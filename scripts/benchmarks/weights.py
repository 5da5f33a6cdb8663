"""Random trained values for a net, and the caffemodel that holds them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_caffe import proto
from keras_caffe.converters.graph import graph
from keras_caffe.converters.infer import infer
from keras_caffe.layers.base import Blob
from keras_caffe.proto.text import to_text
from keras_caffe.proto.wire import DELIMITED

Layer = tuple[str, str, list[np.ndarray]]


def write(net: Any, folder: Path, seed: int = 0) -> tuple[Path, Path]:
    """Writes a net and random weights that keep its activations near 1; returns prototxt and caffemodel."""
    prototxt, caffemodel = folder / f"{net.name}.prototxt", folder / f"{net.name}.caffemodel"
    prototxt.write_text(to_text(net))
    write_caffemodel(caffemodel, net.name, random_layers(net, seed))
    return prototxt, caffemodel


def random_layers(net: Any, seed: int = 0) -> Iterator[Layer]:
    """Name, type and blobs of each layer that has any."""
    rng = np.random.default_rng(seed)
    for step in infer(graph(net)).steps:
        if step.blobs:
            yield step.node.name, step.node.type, [_values(blob, rng) for blob in step.blobs]


def _values(blob: Blob, rng: np.random.Generator) -> np.ndarray:
    if blob.name == "factor":
        return np.ones(blob.shape, "float32")
    if blob.name in ("variance", "scale"):
        return rng.uniform(0.5, 1.5, blob.shape).astype("float32")
    values = rng.standard_normal(blob.shape, "float32")
    fan_in = np.prod(blob.shape[1:]) if len(blob.shape) > 1 else 200
    return values * np.float32(np.sqrt(2 / fan_in))


def write_caffemodel(path: Path, name: str, layers: Iterator[Layer]) -> None:
    """Writes a NetParameter layer by layer; arrays go to the file as they lie in memory."""
    with path.open("wb") as file:
        file.write(proto.NetParameter(name=name).SerializeToString())
        for layer in layers:
            for part in _nested(proto.NetParameter, "layer", _layer_parts(*layer)):
                file.write(part)


def _layer_parts(name: str, type: str, blobs: Sequence[np.ndarray]) -> list[bytes]:
    parts = [proto.LayerParameter(name=name, type=type).SerializeToString()]
    for blob in blobs:
        shape = proto.BlobProto(shape={"dim": blob.shape}).SerializeToString()
        data = _nested(proto.BlobProto, "data", [np.ascontiguousarray(blob, "<f4").data.cast("B")])
        parts += _nested(proto.LayerParameter, "blobs", [shape, *data])
    return parts


def _nested(message: Any, field: str, parts: Sequence[Any]) -> list[Any]:
    """The parts as one length-delimited field."""
    number = message.DESCRIPTOR.fields_by_name[field].number
    return [_varint(number << 3 | DELIMITED) + _varint(sum(map(len, parts))), *parts]


def _varint(value: int) -> bytes:
    more = value >> 7
    return bytes([value & 127 | (128 if more else 0)]) + (_varint(more) if more else b"")
