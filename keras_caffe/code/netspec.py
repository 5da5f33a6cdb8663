"""NetParameter -> Python code that writes it again with pycaffe's NetSpec."""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from google.protobuf.descriptor import FieldDescriptor

from keras_caffe.code.layout import WIDTH, fitted
from keras_caffe.code.literals import plain_text, string
from keras_caffe.converters.read_binary import parameter_of
from keras_caffe.errors import ExportError

OWN = ("tops", "to_proto", "keys", "vals", "update")
"""Attributes of a NetSpec that are no tops"""
FILLED = ("name", "type", "bottom", "top", "phase")
"""Fields of a layer that NetSpec or Caffe fills, or that have a place of their own here"""
FLOATS = (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE)

FILE = '''"""{name}: a Caffe net as pycaffe code, written by keras_caffe. Run it to print the prototxt."""

import caffe
from caffe import layers as L
{imports}

def build_net() -> caffe.proto.caffe_pb2.NetParameter:
    """The net, layer by layer."""
    n = caffe.NetSpec()
{layers}
    net = n.to_proto()
{fields}    return net


if __name__ == "__main__":
    print(build_net())
'''


def netspec(net: Any) -> str:
    """The file; run, it prints the prototxt. Raises ExportError if NetSpec cannot say the net."""
    layers = "\n".join(row for line in _Lines(net.layer).all() for row in fitted(line))
    plain = [field for field, _ in net.ListFields() if field.name != "state" and field.message_type is None]
    fields = "".join(f"    net.{f.name} = {_text(f, getattr(net, f.name))}\n" for f in plain)
    imports = "from caffe import params as P\n" if "=P." in layers or "[P." in layers else ""
    return FILE.format(name=plain_text(net.name or "caffe_net"), imports=imports, layers=layers, fields=fields)


class _Lines:
    """The statements of a net, one a layer.

    A blob's entry in the NetSpec is its first writer; layers that write it again have an entry of their own.
    """

    def __init__(self, layers: Iterable[Any]) -> None:
        self._layers, self._written = layers, set[str]()
        self._taken = {blob for layer in layers for blob in layer.top}

    def all(self) -> Iterator[str]:
        for layer in self._layers:
            targets, call = self._line(layer)
            if len(f"    {', '.join(targets)} = {call.partition('(')[0]}(") > WIDTH:
                yield f"tops = {call}"
                yield from (f"{target} = tops[{number}]" for number, target in enumerate(targets))
            else:
                yield f"{', '.join(targets)} = {call}"
            self._written |= set(layer.top)

    def _line(self, layer: Any) -> tuple[list[str], str]:
        """What a call is assigned to, and the call."""
        keys, given = list(layer.top), []
        if self._written & set(keys):
            keys, given = [self._key(layer.name)], _again(layer, self._written)
        elif not keys:
            keys, given = [self._key(layer.name)], ["ntop=0"]
        elif len(keys) > 1:
            given = [f"ntop={len(keys)}"]
        name = [f"name={string(layer.name)}"] if layer.name != keys[0] else []
        arguments = [*(_entry(blob) for blob in layer.bottom), *name, *given, *_fields(layer)]
        call = f"L.{layer.type}" if _is_word(layer.type) else f"getattr(L, {string(layer.type)})"
        return [_entry(key) for key in keys], f"{call}({', '.join(arguments)})"

    def _key(self, name: str) -> str:
        """The layer's name, or one like it that is no blob's and no other layer's."""
        found, number = name, 1
        while found in self._taken:
            number += 1
            found = f"{name}_{number}"
        self._taken.add(found)
        return found


def _again(layer: Any, written: set[str]) -> list[str]:
    """How a layer is told to write blobs that are there. NetSpec's `in_place` names all bottoms as tops."""
    if list(layer.top) == list(layer.bottom):
        return ["in_place=True"] if len(layer.top) == 1 else ["in_place=True", "ntop=0"]
    if not set(layer.top) <= written:
        problem = "NetSpec cannot say a layer that writes one blob again and another one for the first time"
        raise ExportError(problem, where=layer.name)
    return [f"top=[{', '.join(map(string, layer.top))}]", "ntop=0"]


def _entry(blob: str) -> str:
    return f"n.{blob}" if _is_word(blob) and blob not in OWN else f"n[{string(blob)}]"


def _is_word(text: str) -> bool:
    """Whether a text can stand behind a dot."""
    return text.isascii() and text.isidentifier() and not keyword.iskeyword(text) and not text.startswith("__")


def _fields(layer: Any) -> Iterator[str]:
    """The arguments of a layer; those of its own message stand as they are, as pycaffe allows."""
    own = parameter_of(layer.type)
    for field, value in layer.ListFields():
        flat = field.name == own and field.message_type.name == f"{layer.type}Parameter"
        if flat and not any(inner.name.endswith("param") for inner, _ in value.ListFields()):
            yield from _arguments(value)
        elif field.name not in FILLED:
            yield f"{field.name}={_text(field, value)}"


def _arguments(message: Any) -> Iterator[str]:
    for field, value in message.ListFields():
        word, text = _is_word(field.name), _text(field, value)
        yield f"{field.name}={text}" if word else f"**{{{string(field.name)}: {text}}}"


def _text(field: Any, value: Any) -> str:
    """A field's value; pycaffe takes one of a repeated field as it is."""
    if not hasattr(value, "extend"):
        return _one(field, value)
    return _one(field, value[0]) if len(value) == 1 else f"[{', '.join(_one(field, item) for item in value)}]"


def _one(field: Any, value: Any) -> str:
    if field.message_type is not None:
        return f"dict({', '.join(_arguments(value))})"
    if field.enum_type is not None:
        return _enum(field.enum_type, value)
    if field.type in FLOATS:
        return _number(np.float64(value) if field.type == FieldDescriptor.TYPE_DOUBLE else np.float32(value))
    return string(value) if isinstance(value, str) else repr(value)


def _enum(kind: Any, value: int) -> str:
    """`caffe.TEST`, `P.Pooling.MAX`, or the number where pycaffe has no name."""
    name = kind.values_by_number[value].name
    holder = kind.containing_type.name if kind.containing_type is not None else ""
    if kind.name == "Phase":
        return f"caffe.{name}"
    return f"P.{holder.removesuffix('Parameter')}.{name}" if holder.endswith("Parameter") else str(value)


def _number(value: np.floating[Any]) -> str:
    """The shortest decimal that is the same number of the field's kind."""
    if not np.isfinite(value):
        return f'float("{value}")'
    return str(int(value)) if value == int(value) and abs(value) < 1e6 else str(float(str(value))).replace("e+", "e")
