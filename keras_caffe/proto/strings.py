"""Strings of binary messages: protobuf gives bytes where they are not UTF-8, as names in old encodings."""

from __future__ import annotations

from typing import Any

from keras_caffe.proto.values import is_repeated


def with_text(message: Any) -> Any:
    """The message, with strings in place of bytes: what is not UTF-8 is read as Latin-1, so that names stay apart."""
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if is_repeated(field) else [value]:
                with_text(inner)
        elif field.type == field.TYPE_STRING and is_repeated(field):
            if any(isinstance(one, bytes) for one in value):
                value[:] = [_decoded(one) for one in value]
        elif field.type == field.TYPE_STRING and isinstance(value, bytes):
            setattr(message, field.name, _decoded(value))
    return message


def _decoded(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")
