"""Net definitions in binary files: a NetParameter without its blobs, with a fork's field numbers made sense of."""

from __future__ import annotations

import struct
import warnings
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from keras_caffe import proto
from keras_caffe.errors import CaffeWarning, ReadError
from keras_caffe.proto.strings import with_text
from keras_caffe.proto.text import DECLARE, NOTED, UNKNOWN_FIELD
from keras_caffe.proto.wire import DELIMITED, END_GROUP, FIXED32, VARINT, Field, Mapped, fields, is_c3d_width

# Types whose parameters are not called after them.
_PARAMETERS = {
    **dict.fromkeys(("Deconvolution", "DepthwiseConvolution", "ConvolutionDepthwise", "Im2col"), "convolution_param"),
    **dict.fromkeys(("LSTM", "RNN"), "recurrent_param"),
    "Lstm": "lstm_param",
    "ReLU6": "relu6_param",
    "SoftmaxWithLoss": "softmax_param",
}
NORMALIZATION = proto.LossParameter.DESCRIPTOR.fields_by_name["normalization"].number
FIRST_DISPUTED = 135  # all forks agree on the parameters that Caffe had before


def parameter_of(layer_type: str) -> str | None:
    """The LayerParameter field that holds a layer type's parameters: `Pooling` -> `pooling_param`."""
    if layer_type in _PARAMETERS:
        return _PARAMETERS[layer_type]
    for known in proto.LayerParameter.DESCRIPTOR.fields:
        if known.message_type and known.message_type.name == f"{layer_type}Parameter":
            return str(known.name)
    return None


def read_binary_net(file: Mapped, *, fork: str | None = None, strict: bool = False) -> Any:
    """The NetParameter in a binary file, without blobs.

    Forks gave one number to different fields. A layer whose own parameters are missing therefore takes them from a
    field that is unknown, or another type's, if that reads without a rest as the layer's own. fork="bvlc" turns this
    off.

    Raises:
        ReadError: the file is no NetParameter; with `strict`, it has fields that the schema does not know.
    """
    try:
        net = with_text(proto.NetParameter.FromString(_without_blobs(file)))
    except DecodeError:
        file.refuse("this is not a net")
    missing = net.FindInitializationErrors()
    if missing:
        file.refuse(f"required fields are missing: {', '.join(missing)}")
    for layer in (*net.layer, *net.layers):
        layer.ClearField(NOTED)
    adopted = [] if fork == "bvlc" else [_adopt(layer) for layer in net.layer]
    if fork == "rfcn" or (fork is None and any(layer.type.endswith("OHEM") for layer in net.layer)):
        for layer in filter(lambda layer: layer.HasField("loss_param"), net.layer):
            _renumber_normalization(layer.loss_param)
    noted = [name for layer in (*net.layer, *net.layers) for name in _note_unknown_values(layer)]
    unknown = Counter(_unknown(net)) - Counter(adopted) - Counter(noted)
    if unknown and not (net.layer or net.layers):
        file.refuse("this is not a net definition")
    if unknown:
        _report(unknown, file, strict)
    return net


def _without_blobs(file: Mapped) -> bytes:
    layers = {known.number: known.message_type for known in proto.NetParameter.DESCRIPTOR.fields if known.message_type}
    pieces = []
    for at in fields(file, 0, file.size, top=True):
        if at.wire_type == END_GROUP:
            warnings.warn(
                CaffeWarning(f"{file.path}: everything from byte {at.tag} on is ignored, as Caffe ignores it"),
                stacklevel=4,
            )
            continue
        message = layers.get(at.number)
        holds_blobs = message is not None and at.wire_type == DELIMITED and "LayerParameter" in message.name
        pieces.append(_layer(file, at, message) if holds_blobs else file.bytes(at.tag, at.end))
    return b"".join(pieces)


def _layer(file: Mapped, layer: Field, message: Any) -> bytes:
    pieces: list[bytes] = []
    blobs = message.fields_by_name["blobs"].number
    inner = message.fields_by_name["layer"] if "layer" in message.fields_by_name else None  # V1 holding V0
    for at in fields(file, layer.start, layer.end):
        if at.number == blobs:
            if at.wire_type == DELIMITED and any(map(is_c3d_width, islice(fields(file, at.start, at.end), 5))):
                raise _is_c3d(file)
            continue
        if inner and at.number == inner.number and at.wire_type == DELIMITED:
            pieces.append(_layer(file, at, inner.message_type))
        else:
            pieces.append(file.bytes(at.tag, at.end))
    content = b"".join(pieces)
    return varint_bytes(layer.number << 3 | DELIMITED) + varint_bytes(len(content)) + content


def _is_c3d(file: Mapped) -> ReadError:
    return ReadError(
        "this is a file of C3D v1.0, in which the numbers of types and parameters mean others",
        where=str(file.path),
        expected="its prototxt",
        fix="Load the prototxt, with this file as its weights.",
    )


def varint_bytes(value: int) -> bytes:
    """A number as a varint."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _adopt(layer: Any) -> str:
    """Gives a layer without parameters the field that must be them, if there is exactly one; returns its name."""
    name = parameter_of(layer.type)
    if name is None or layer.HasField(name):
        return ""
    own = type(getattr(layer, name))
    readings = [
        (source, message) for source, data in _candidates(layer) if (message := _read_whole(own, data)) is not None
    ]
    if len(readings) != 1:
        return ""
    source, message = readings[0]
    getattr(layer, name).CopyFrom(message)
    if source in layer.DESCRIPTOR.fields_by_name:
        layer.ClearField(source)
    return source


def _renumber_normalization(loss: Any) -> None:
    """R-FCN's Caffe has PRE_FIXED as 3, where BVLC has NONE, NONE as 4, and pre_fixed_normalizer as field 4."""
    if loss.normalization == loss.NONE:
        loss.normalization = loss.PRE_FIXED
    foreign = {(unknown.field_number, unknown.wire_type): unknown.data for unknown in UnknownFieldSet(loss)}
    if foreign.get((NORMALIZATION, VARINT)) == 4:
        loss.normalization = loss.NONE
    if (4, FIXED32) in foreign:
        (loss.pre_fixed_normalizer,) = struct.unpack("<f", foreign[4, FIXED32].to_bytes(4, "little"))
    if foreign.keys() <= {(NORMALIZATION, VARINT), (4, FIXED32)}:
        loss.DiscardUnknownFields()


def _candidates(layer: Any) -> Iterator[tuple[str, bytes]]:
    """Parameter fields on disputed numbers, with their names: those of other types, and unknown ones."""
    for known, value in layer.ListFields():
        if known.number >= FIRST_DISPUTED and known.message_type:
            yield known.name, value.SerializePartialToString()
    for unknown in UnknownFieldSet(layer):
        if unknown.field_number >= FIRST_DISPUTED and unknown.wire_type == DELIMITED:
            yield _name_of(layer, unknown), unknown.data


def _note_unknown_values(layer: Any) -> list[str]:
    """Keeps with a layer what its enums do not know, as a text's words are kept; returns the names as of `_unknown`."""
    noted = []
    pending: list[tuple[str, Any]] = [("", layer)]
    while pending:
        path, message = pending.pop()
        by_number = message.DESCRIPTOR.fields_by_number
        for unknown in UnknownFieldSet(message):
            known = by_number.get(unknown.field_number)
            if known is not None and known.enum_type and unknown.wire_type == VARINT and (path or known.name == "type"):
                number = unknown.data - (unknown.data >> 63 << 64)  # A varint shows -1 as 2^64 - 1.
                layer.unknown_value.add(field=path + known.name, value=str(number))
                noted.append(_name_of(message, unknown))
        for known, value in message.ListFields():
            if hasattr(value, "DESCRIPTOR") and (path or known.name.endswith("_param")):
                pending.append((f"{path}{known.name}.", value))
    return noted


def _read_whole(message_class: Any, data: bytes) -> Any | None:
    try:
        message = message_class.FromString(data)
    except DecodeError:
        return None
    return None if message.FindInitializationErrors() or any(_unknown(message)) else message


def _unknown(message: Any) -> Iterator[str]:
    """The unknown fields of a message and of all messages in it, as `Message #number`."""
    pending = [message]
    while pending:
        message = pending.pop()
        for unknown in UnknownFieldSet(message):
            yield _name_of(message, unknown)
        for known, value in message.ListFields():
            if known.message_type:
                pending += [value] if hasattr(value, "DESCRIPTOR") else value


def _name_of(message: Any, unknown: Any) -> str:
    return f"{message.DESCRIPTOR.name} #{unknown.field_number}"


def _report(unknown: Counter[str], file: Mapped, strict: bool) -> None:
    problem = "unknown fields: " + ", ".join(f"{name} ({count} times)" for name, count in unknown.items())
    if strict:
        raise ReadError(problem, where=str(file.path), fix=DECLARE)
    fix = ("They are left out.", DECLARE)
    warnings.warn(CaffeWarning(problem, kind=UNKNOWN_FIELD, where=str(file.path), fix=fix), stacklevel=4)
