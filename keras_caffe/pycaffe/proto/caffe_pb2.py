"""Caffe's messages and enums under the names that scripts use: `caffe_pb2.NetParameter()`, `caffe_pb2.TRAIN`."""

from __future__ import annotations

from typing import Any

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

from keras_caffe import proto

DESCRIPTOR = proto.NetParameter.DESCRIPTOR.file
_enums = DESCRIPTOR.enum_types_by_name
_values = {value.name: value.number for enum in _enums.values() for value in enum.values}
__all__ = sorted([*DESCRIPTOR.message_types_by_name, *_enums, *_values])  # import * looks here


def __getattr__(name: str) -> Any:
    if name in _values:
        return _values[name]
    if name in _enums:
        return EnumTypeWrapper(_enums[name])
    if name.startswith("_"):
        raise AttributeError(name)
    return getattr(proto, name)


def __dir__() -> list[str]:
    return __all__
