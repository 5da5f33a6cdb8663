"""NetParameter -> Python code that writes it again with pycaffe's NetSpec."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from keras_caffe.code.statements import string


def netspec(net: Any) -> str:
    """The file; run, it prints the prototxt."""
    blobs = {name for layer in net.layer for name in layer.top}
    rows = [_layer(layer, blobs) for layer in net.layer]
    return "\n".join(
        [
            '"""A Caffe net as pycaffe code, written by keras_caffe: run it to print the prototxt."""',
            "",
            "import caffe",
            "from caffe import layers as L",
            "",
            "",
            "def build_net():",
            '    """The net, layer by layer."""',
            "    n = caffe.NetSpec()",
            *rows,
            "    net = n.to_proto()",
            f"    net.name = {string(net.name)}",
            "    return net",
            "",
            "",
            'if __name__ == "__main__":',
            "    print(build_net())",
            "",
        ]
    )


def _layer(layer: Any, blobs: Container[str]) -> str:
    """One statement. A layer that works in place has an entry of its own, for its blob's is the first writer's."""
    tops, bottoms = list(layer.top), [f"n[{string(name)}]" for name in layer.bottom]
    given = [f"name={string(layer.name)}"]
    if tops and list(layer.bottom)[:1] == tops:
        given.append("in_place=True")
    elif len(tops) != 1:
        given.append(f"ntop={len(tops)}")
    given += [f"{name}={text}" for name, text in _fields(layer, ("name", "type", "bottom", "top", "phase"))]
    if "in_place=True" in given:
        tops = [layer.name if layer.name not in blobs else f"{layer.name} in place"]
    left = ", ".join(f"n[{string(name)}]" for name in tops)
    call = f"getattr(L, {string(layer.type)})({', '.join([*bottoms, *given])})"
    if layer.type.isidentifier() and layer.type.isascii():
        call = f"L.{layer.type}({', '.join([*bottoms, *given])})"
    return f"    {left} = {call}" if tops else f"    n[{string(layer.name)}] = {call}"


def _fields(message: Any, without: Sequence[str] = ()) -> list[tuple[str, str]]:
    return [(f.name, _text(f, value)) for f, value in message.ListFields() if f.name not in without]


def _text(field: Any, value: Any) -> str:
    if hasattr(value, "extend"):
        return f"[{', '.join(_one(field, item) for item in value)}]"
    return _one(field, value)


def _one(field: Any, value: Any) -> str:
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return f"dict({', '.join(f'{name}={text}' for name, text in _fields(value))})"
    if field.type == FieldDescriptor.TYPE_ENUM:
        return str(value)
    return string(value) if isinstance(value, str) else repr(value)
