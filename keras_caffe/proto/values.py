"""What C++ protobuf reads as the value of a field, and how errors name it."""

from __future__ import annotations

import re
from typing import Any

_WHOLE = re.compile(r"-?\s*(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d*)")
_FLOAT_WORDS = re.compile(r"-?\s*(?:inf|infinity|nan)", re.IGNORECASE)
_TRUE_AND_FALSE = ("true", "false", "True", "False", "t", "f")
_BITS = {"INT32": (31, True), "INT64": (63, True), "UINT32": (32, False), "UINT64": (64, False)}


def is_repeated(field: Any) -> bool:
    """Whether a field may have several values. (`label` says so in old versions of protobuf only.)"""
    return bool(field.default_value == [])


def is_of_type(field: Any, kind: str | None, value: str) -> bool:
    """Whether a value is one of a field's type, which is no enum and no message.

    Args:
        field: the field's descriptor.
        kind: "string", "number" or "word".
        value: the value as the text has it.
    """
    if field.cpp_type == field.CPPTYPE_STRING:
        return kind == "string"
    if field.cpp_type == field.CPPTYPE_BOOL:
        return value in _TRUE_AND_FALSE or (kind == "number" and _in_range(value, 0, 1))
    if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return kind == "number" or (kind == "word" and _FLOAT_WORDS.fullmatch(value) is not None)
    return kind == "number" and _in_range(value, *_limits(field))


def whole(value: str) -> int | None:
    """The whole number that is written decimal, octal (017) or hexadecimal (0xf), None if the value is none."""
    if not _WHOLE.fullmatch(value) or len(value) > 64:
        return None
    digits = "".join(value.split())
    octal = digits.lstrip("-").startswith("0") and "x" not in digits.lower()
    return int(digits, 8 if octal else 0)


def wanted(field: Any) -> str:
    """What a field takes, in words."""
    if field.message_type is not None:
        return f"{{ the fields of {field.message_type.name} }}"
    if field.cpp_type == field.CPPTYPE_STRING:
        return 'a string in quotes ("...")'
    if field.cpp_type == field.CPPTYPE_BOOL:
        return "true or false"
    if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return "a number"
    low, high = _limits(field)
    return f"a whole number from {low} to {high}"


def _limits(field: Any) -> tuple[int, int]:
    """The least and the greatest value of an integer field."""
    kinds = {getattr(field, f"CPPTYPE_{kind}"): limits for kind, limits in _BITS.items()}
    bits, signed = kinds[field.cpp_type]
    return (-(1 << bits) if signed else 0), (1 << bits) - 1


def _in_range(value: str, low: int, high: int) -> bool:
    number = whole(value)
    return number is not None and low <= number <= high
