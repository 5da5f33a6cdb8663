"""Caffe's messages under the name that scripts use: `caffe_pb2.NetParameter()`, `caffe_pb2.TRAIN`."""

from __future__ import annotations

from typing import Any

from keras_caffe import proto


def __getattr__(name: str) -> Any:
    phases = proto.NetState.DESCRIPTOR.fields_by_name["phase"].enum_type.values_by_name
    if name in phases:
        return phases[name].number
    if name.startswith("_"):
        raise AttributeError(name)
    return getattr(proto, name)
