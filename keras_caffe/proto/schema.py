"""The schema in use: the file descriptor, the pool built from it, and the message classes in the pool."""

from __future__ import annotations

from importlib import resources
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from keras_caffe.errors import CaffeError

PACKAGE = "caffe"


class _Schema:
    """A file descriptor with its pool. A pool allows no second definition, so every change makes a new one."""

    def __init__(self, file: descriptor_pb2.FileDescriptorProto) -> None:
        self.file = file
        self.pool = descriptor_pool.DescriptorPool()
        self.pool.AddSerializedFile(file.SerializeToString())
        self.pool.FindFileByName(file.name)  # some versions of protobuf build, and so check, a file when it is found


def _compiled() -> _Schema:
    data = resources.files(__package__).joinpath("caffe.desc").read_bytes()
    return _Schema(descriptor_pb2.FileDescriptorSet.FromString(data).file[0])


_current = _compiled()


def file_descriptor() -> descriptor_pb2.FileDescriptorProto:
    """A copy of the file descriptor in use."""
    copy = descriptor_pb2.FileDescriptorProto()
    copy.CopyFrom(_current.file)
    return copy


def replace(file: descriptor_pb2.FileDescriptorProto) -> None:
    """Makes `file` the schema in use; raises CaffeError, and changes nothing, if it contradicts itself."""
    global _current
    try:
        _current = _Schema(file)
    except (TypeError, ValueError, KeyError) as error:
        raise CaffeError(f"the declared fields do not fit the schema: {error}") from None


def message_class(name: str) -> Any:
    """The class of Caffe's message `name`; raises KeyError if there is none."""
    return message_factory.GetMessageClass(_current.pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
