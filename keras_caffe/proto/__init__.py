"""Caffe's messages: `proto.NetParameter`, `proto.BlobProto`, ... from our own `caffe.proto`.

The compiled descriptor set is loaded into a private pool, so an installed `caffe` package or another
`caffe_pb2` never clashes with it.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_pool = descriptor_pool.DescriptorPool()


def _load() -> None:
    files = descriptor_pb2.FileDescriptorSet.FromString(
        resources.files(__package__).joinpath("caffe.desc").read_bytes()
    )
    for file in files.file:
        _pool.Add(file)


_load()


def message_class(name: str) -> type:
    """The class of Caffe's message `name`; raises KeyError if there is none."""
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"caffe.{name}"))


def __getattr__(name: str) -> Any:
    try:
        return message_class(name)
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no message {name!r}") from None
