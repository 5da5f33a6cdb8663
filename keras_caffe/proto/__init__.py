"""Caffe's messages: `proto.NetParameter`, `proto.BlobProto`, ... from our own `caffe.proto`.

The compiled descriptor set is loaded into a private pool, so an installed `caffe` package or another
`caffe_pb2` never clashes with it. `proto.extend` adds the messages and fields of a fork; a class is therefore
looked up when it is used (`proto.NetParameter()`), never kept from an earlier import.
"""

from __future__ import annotations

from typing import Any

from keras_caffe.proto.declare import extend
from keras_caffe.proto.schema import message_class

__all__ = ["extend", "message_class"]


def __getattr__(name: str) -> Any:
    try:
        return message_class(name)
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no message {name!r}") from None
