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
SEGNETS_BN = 45  # the field that has bn_param in SegNet's Caffe
HAPPYNEARS_NORMALIZE = 214  # the same of normalize_param in happynear's

# DeepLab's hole stands where Caffe has a flag, so it shows by being more than 1; hole_h and hole_w stand at two numbers
# of which Caffe has the first alone.
HOLE, HOLE_H, HOLE_W = 17, 18, 19
_CONVOLUTION = proto.ConvolutionParameter.DESCRIPTOR.fields_by_name
OURS = {HOLE: _CONVOLUTION["hole"].number, HOLE_H: _CONVOLUTION["hole_h"].number, HOLE_W: _CONVOLUTION["hole_w"].number}
_MULTIBOX = proto.MultiBoxLossParameter.DESCRIPTOR.fields_by_name
OBJECTNESS = _MULTIBOX["objectness_score"].number  # RefineDet's, where TextBoxes++ has the flag use_polygon
V1_TYPE = proto.V1LayerParameter.DESCRIPTOR.fields_by_name["type"].number
DEEPLABS_ACCURACY = 42  # the field that has its seg_accuracy_param, and Caffe loss_param
# Types in `layers` blocks of DeepLab v1 that Caffe has not, or has under another number.
DEEPLAB_TYPES = {"40": "SEG_ACCURACY", "41": "INTERP", "42": "PADDING", "43": "MAT_WRITE", "44": "MAT_READ"}


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
    field that is unknown, or another type's, if that reads without a rest as the layer's own; and what can only be
    DeepLab's hole is one. fork="bvlc" turns this off.

    Raises:
        ReadError: the file is no NetParameter; with `strict`, it has fields that the schema does not know.
    """
    try:
        net = with_text(proto.NetParameter.FromString(_without_blobs(file, fork)))
    except DecodeError:
        file.refuse("this is not a net")
    for layer in (*net.layer, *net.layers):
        layer.ClearField(NOTED)
    adopted = [] if fork == "bvlc" else [_adopt(layer) for layer in net.layer]
    missing = net.FindInitializationErrors()
    if missing:
        file.refuse(f"required fields are missing: {', '.join(missing)}")
    if fork == "rfcn" or (fork is None and any(layer.type.endswith("OHEM") for layer in net.layer)):
        for layer in filter(lambda layer: layer.HasField("loss_param"), net.layer):
            _renumber_normalization(layer.loss_param)
    noted = [name for layer in (*net.layer, *net.layers) for name in _note_unknown_values(layer)]
    if fork == "deeplab" or any(_has_hole(layer.convolution_param) for layer in net.layers):
        for layer in net.layers:
            _name_deeplabs_type(layer)
    unknown = Counter(_unknown(net)) - Counter(adopted) - Counter(noted)
    if unknown and not (net.layer or net.layers):
        file.refuse("this is not a net definition")
    if unknown:
        _report(unknown, file, strict)
    return net


def _without_blobs(file: Mapped, fork: str | None) -> bytes:
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
        pieces.append(_layer(file, at, message, fork) if holds_blobs else file.bytes(at.tag, at.end))
    return b"".join(pieces)


def _layer(file: Mapped, layer: Field, message: Any, fork: str | None) -> bytes:
    pieces: list[bytes] = []
    blobs = message.fields_by_name["blobs"].number
    convolution, multibox = map(message.fields_by_name.get, ("convolution_param", "multibox_loss_param"))
    inner = message.fields_by_name["layer"] if "layer" in message.fields_by_name else None  # V1 holding V0
    for at in fields(file, layer.start, layer.end):
        if at.number == blobs:
            if at.wire_type == DELIMITED and any(map(is_c3d_width, islice(fields(file, at.start, at.end), 5))):
                raise _is_c3d(file)
            continue
        if inner and at.number == inner.number and at.wire_type == DELIMITED:
            pieces.append(_layer(file, at, inner.message_type, fork))
        elif multibox and at.number == multibox.number and at.wire_type == DELIMITED:
            pieces.append(_field(at.number, _with_polygon(file, at)))
        elif at.number == DEEPLABS_ACCURACY and _is_accuracy_of_deeplab(file, layer, message):
            pieces.append(_field(message.fields_by_name["seg_accuracy_param"].number, file.bytes(at.start, at.end)))
        elif convolution and at.number == convolution.number and at.wire_type == DELIMITED and fork != "bvlc":
            pieces.append(_field(at.number, _with_holes(file, at)))
        else:
            pieces.append(file.bytes(at.tag, at.end))
    return _field(layer.number, b"".join(pieces))


def _is_accuracy_of_deeplab(file: Mapped, layer: Field, message: Any) -> bool:
    """Whether a V1 layer has the type 40, which Caffe has not."""
    types = [file.bytes(at.start, at.end) for at in fields(file, layer.start, layer.end) if at.number == V1_TYPE]
    return message.name == "V1LayerParameter" and types == [varint_bytes(40)]


def _field(number: int, content: bytes) -> bytes:
    return varint_bytes(number << 3 | DELIMITED) + varint_bytes(len(content)) + content


def _with_polygon(file: Mapped, loss: Field) -> bytes:
    """A MultiBoxLossParameter, with TextBoxes++'s flag under our own number for it."""
    flag = varint_bytes(_MULTIBOX["use_polygon"].number << 3)
    return b"".join(
        flag + file.bytes(at.start, at.end)
        if (at.number, at.wire_type) == (OBJECTNESS, VARINT)
        else file.bytes(at.tag, at.end)
        for at in fields(file, loss.start, loss.end)
    )


def _with_holes(file: Mapped, convolution: Field) -> bytes:
    """A ConvolutionParameter, with what must be DeepLab's holes under our own numbers for them."""
    inner = list(fields(file, convolution.start, convolution.end))
    both = any(one.number == HOLE_W for one in inner)
    pieces = []
    for one in inner:
        value = file.bytes(one.start, one.end)
        is_hole = one.number == HOLE and value not in (b"\0", b"\1") or both and one.number in (HOLE_H, HOLE_W)
        tag = (
            varint_bytes(OURS[one.number] << 3)
            if is_hole and one.wire_type == VARINT
            else file.bytes(one.tag, one.start)
        )
        pieces.append(tag + value)
    return b"".join(pieces)


def _has_hole(convolution: Any) -> bool:
    return bool(convolution.HasField("hole") or convolution.HasField("hole_w"))


def _name_deeplabs_type(layer: Any) -> None:
    """Gives a V1 layer of DeepLab's the word for its type."""
    if not layer.bottom and layer.HasField("image_data_param") and layer.type == layer.DECONVOLUTION:
        layer.ClearField("type")
        layer.unknown_value.add(field="type", value="IMAGE_SEG_DATA")
    for unknown in layer.unknown_value:
        if unknown.field == "type":
            unknown.value = DEEPLAB_TYPES.get(unknown.value, unknown.value)


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
    if layer.type == "Normalize" and any(one[1] == HAPPYNEARS_NORMALIZE for one in _candidates(layer)):
        name = "normalize_param"
    if name is None or layer.HasField(name):
        return ""
    own = type(getattr(layer, name))
    readings = [
        (source, message)
        for source, number, data in _candidates(layer)
        if (message := _read_as(own, number, data)) is not None
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


def _candidates(layer: Any) -> Iterator[tuple[str, int, bytes]]:
    """Parameter fields on disputed numbers, with their names and numbers: those of other types, and unknown ones."""
    for known, value in layer.ListFields():
        if known.number >= FIRST_DISPUTED and known.message_type:
            yield known.name, known.number, value.SerializePartialToString()
    for unknown in UnknownFieldSet(layer):
        if unknown.wire_type == DELIMITED:
            yield _name_of(layer, unknown), unknown.field_number, unknown.data


def _read_as(own: Any, number: int, data: bytes) -> Any | None:
    """What a fork has under a number as a layer's own message; None if it is none."""
    if own is not proto.BNParameter:
        return _read_whole(own, data)
    form = proto.SegNetBNParameter if number == SEGNETS_BN else proto.PSPNetBNParameter
    found = _read_whole(form, data)
    if found is None:
        return _read_whole(own, data)
    return own(**{known.name: value for known, value in found.ListFields()})


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
