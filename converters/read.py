"""Files to messages: net and solver definitions in text or binary form, and what a weights file holds."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from google.protobuf.message import DecodeError, Message

from keras_caffe import proto
from keras_caffe.converters.read_binary import read_binary_net
from keras_caffe.converters.read_weights import LayerBlobs, read_mean, read_weights
from keras_caffe.errors import ReadError, not_found, unreadable
from keras_caffe.proto import text
from keras_caffe.proto.formats import HEAD, foreign, is_text
from keras_caffe.proto.strings import with_text
from keras_caffe.proto.wire import Mapped, StoredBlob

__all__ = ["StoredBlob", "LayerBlobs", "NetFile", "read_array", "read_mean", "read_message", "read_net", "read_weights"]

Readable: TypeAlias = str | os.PathLike[str] | Message
TEXT = "<text>"
_LOOKS_LIKE_TEXT = re.compile(r"[\n{]|\A\s*(#|[a-z_]+\s*(:\s*[\"'\d]|<))")
_DRIVE = re.compile(r"[A-Za-z]:[\\/\a-\r]")  # of Windows; control characters are what backslashes became
_HAS_LAYERS = re.compile(r"\blayers?\b")


@dataclass(frozen=True)
class NetFile:
    """A net definition as it was read, not upgraded.

    Attributes:
        message: the NetParameter (V0, V1 or V2, as in the file).
        file: its path; `<text>` or `<message>` if there is none.
        lines: the line at which each layer starts, by the layer's name (the first, where a name occurs twice).
        path: the file; None for a text or a message.
        binary: whether it was a binary file, as a caffemodel is.
    """

    message: Any
    file: str = TEXT
    lines: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    path: Path | None = None
    binary: bool = False

    def where(self, layer_name: str) -> str:
        """`file:line` of a layer, or the file where the line is not known."""
        line = self.lines.get(layer_name)
        return f"{self.file}:{line}" if line else self.file


def read_net(source: Readable, *, strict: bool = False, fork: str | None = None) -> NetFile:
    """Reads a net definition.

    Args:
        source: the path of a prototxt or caffemodel (whose trained values are left out), the text of a prototxt, or
            a NetParameter.
        strict: fields that the schema does not know are an error; otherwise one CaffeWarning names them.
        fork: "bvlc" takes the field numbers of a binary file as BVLC Caffe has them; otherwise a layer's parameters
            are found by its type too.

    Raises:
        ReadError: there is no such file, or it is not a net definition.
    """
    if isinstance(source, Message):
        return NetFile(_own(source, proto.NetParameter), "<message>")
    content, file = _content(source, proto.NetParameter)
    if content is None:
        mapped = Mapped(file)
        return NetFile(read_binary_net(mapped, fork=fork, strict=strict), file, path=mapped.path, binary=True)
    parsed = _parse_net(content, file, strict)
    lines: dict[str, int] = {}
    for layer, line in zip(_layers(parsed.message), parsed.lines, strict=False):
        lines.setdefault(layer.name, line)
    return NetFile(parsed.message, file, MappingProxyType(lines), path_of(source))


def read_message(source: Readable, message_class: Any, *, strict: bool = False) -> Any:
    """Reads a message of any class, such as `proto.SolverParameter`, from a text or binary file.

    Args:
        source: a path, the text itself, or such a message.
        message_class: the class, or its name.
        strict: fields that the schema does not know are an error; otherwise one CaffeWarning names them.

    Raises:
        ReadError: there is no such file, or it does not hold such a message.
    """
    if isinstance(message_class, str):
        message_class = proto.message_class(message_class)
    if isinstance(source, Message):
        return _own(source, message_class)
    content, file = _content(source, message_class)
    if content is not None:
        return text.parse(content, message_class, file=file, strict=strict).message
    mapped = Mapped(file)
    try:
        return with_text(message_class.FromString(mapped.bytes(0, mapped.size)))
    except DecodeError:
        mapped.refuse(f"this is not a {message_class.DESCRIPTOR.name}")


def _parse_net(content: str, file: str, strict: bool) -> text.Parsed:
    """The net in a text. Without layers, unknown fields are not a fork's: the text is something else."""
    try:
        return text.parse(content, proto.NetParameter, file, strict=strict or not _HAS_LAYERS.search(content))
    except ReadError as error:
        if _is_solver(content):
            fix = "Load the file that its `net` names."
            raise ReadError("this is a solver, not a net", where=error.where, fix=fix) from None
        raise


def _is_solver(content: str) -> bool:
    try:
        return bool(text.parse(content, proto.SolverParameter, strict=True))
    except ReadError:
        return False


def _layers(net: Any) -> list[Any]:
    """The messages that have the layers' names: a V1 layer may hold a V0 layer that has it."""
    return [*net.layer, *(layer.layer if layer.HasField("layer") else layer for layer in net.layers)]


def _own(message: Message, message_class: Any) -> Any:
    """A copy of a message in the schema in use; it may come from an older one or from another caffe_pb2."""
    if message.DESCRIPTOR.name != message_class.DESCRIPTOR.name:
        raise ReadError(
            "the message is of another kind",
            where="<message>",
            expected=message_class.DESCRIPTOR.name,
            received=message.DESCRIPTOR.name,
        )
    return with_text(message_class.FromString(message.SerializePartialToString()))


def path_of(source: object) -> Path | None:
    """The path that a source of a definition is; None for a text or a message.

    A string that names nothing is a text if it looks like one, and else the name of a file that is missing.
    """
    if isinstance(source, NetFile):
        return source.path
    if isinstance(source, os.PathLike):
        return Path(source)
    if not isinstance(source, str):
        return None
    if not _exists(source) and _LOOKS_LIKE_TEXT.search(source) and not _DRIVE.match(source):
        return None
    return Path(source)


def _content(source: str | os.PathLike[str], message_class: Any) -> tuple[str | None, str]:
    """The text and the name of its file; no text for a binary file. Refuses what is neither."""
    if not isinstance(source, str | os.PathLike):
        raise ReadError(
            "this is not a definition", expected="a path, a text or a message", received=type(source).__name__
        )
    path = path_of(source)
    if path is None:
        _check_format(str(source)[:HEAD].encode(errors="replace"), TEXT, message_class)
        return str(source), TEXT
    if not _exists(source):
        raise unreadable(source, not_found(source))
    with _opened(source) as file:
        head = _head(file)
        _check_format(head, str(source), message_class)
        return (_decode(head + file.read()) if is_text(head) else None), str(source)


def _check_format(head: bytes, file: str, message_class: Any) -> None:
    """Refuses by its name what people save in place of a definition: a web page, a Git LFS pointer, an archive."""
    found = foreign(head)
    if found is not None:
        name = message_class.DESCRIPTOR.name
        what = {"NetParameter": "a net definition", "SolverParameter": "a solver definition"}.get(name, f"a {name}")
        raise ReadError(
            f"this is not {what}",
            where=file,
            expected=f"a prototxt, or a {name} in binary form",
            received=found.kind,
            fix=found.fix,
        )


def _exists(source: str | os.PathLike[str]) -> bool:
    try:
        return bool(os.fspath(source)) and Path(source).exists()
    except (OSError, ValueError):  # too long for a name, or with a zero byte
        return False


def read_array(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads a `.npy` file.

    Raises:
        ReadError: the file is missing, or holds something else.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise unreadable(path, error, problem="this is not a NumPy array") from None
    if not isinstance(array, np.ndarray):
        raise ReadError("this is not a NumPy array", where=str(path), received="several of them")
    check_numbers(array, str(path))
    return array


def check_numbers(array: np.ndarray, where: str) -> None:
    """Refuses arrays of text, objects or complex numbers.

    Raises:
        ReadError: it is one.
    """
    if array.dtype.kind in "cOSUmM" or array.dtype.type is np.void:  # bfloat16 is of kind V, too
        raise ReadError("this is not an array of real numbers", where=where, received=array.dtype)


def is_text_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file holds text, as a prototxt does, and no binary message.

    Raises:
        ReadError: it is missing or empty.
    """
    with _opened(path) as file:
        return is_text(_head(file))


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    try:
        with Path(path).open("rb") as file:
            yield file
    except OSError as error:
        raise unreadable(path, error) from None


def _head(file: BinaryIO) -> bytes:
    head = file.read(HEAD)
    if not head:
        raise ReadError("the file is empty", where=str(file.name), fix="Fetch or write it again.")
    return head


def _decode(data: bytes) -> str:
    """The text of a file. Comments in an 8-bit encoding are common; its letters are kept apart from each other."""
    for encoding in ("utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8", "latin-1"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise AssertionError("latin-1 reads every byte")
