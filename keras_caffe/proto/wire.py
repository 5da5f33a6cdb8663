"""Binary protobuf files read by hand, so that trained values are views on the mapped file, never Python lists.

The walk knows four things of the wire format: varints, fixed-width values, length-delimited fields, groups. Every
length is checked against what holds it before anything is taken from it. Small submessages go to the library.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError

from keras_caffe import proto
from keras_caffe.errors import WeightsError
from keras_caffe.proto.mapped import Mapped

VARINT, FIXED64, DELIMITED, START_GROUP, END_GROUP, FIXED32 = range(6)
GROUP_LIMIT = 64
CHUNK_LIMIT = 1 << 16
COPY_PIECE = 1 << 22  # bytes
SHAPE_BYTES = 1024  # 32 axes of the longest varint take 353

_LEGACY = ("num", "channels", "height", "width")
# C3D v1.0 has one more size, so that its width stands where the values are elsewhere.
_C3D = {1: "num", 2: "channels", 3: "length", 4: "height", 5: "width", 6: "data", 7: "diff"}
_WIDTH = 5
_C3D_LEGACY = ("num", "channels", "length", "height", "width")
_RAW_TYPES = {"DOUBLE": "<f8", "FLOAT": "<f4", "FLOAT16": "<f2"}


class Field(NamedTuple):
    """One field on the wire: its number and type, where it begins, and where its content begins and ends."""

    number: int
    wire_type: int
    tag: int
    start: int
    end: int


def varint(file: Mapped, position: int, end: int) -> tuple[int, int]:
    """The varint at `position` and the position after it."""
    value = shift = 0
    while True:
        if position >= end or shift > 63:
            file.refuse("the file ends inside a number" if position >= end else "a number is too long", position)
        byte = file.byte(position)
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7


def fields(file: Mapped, start: int, end: int, *, top: bool = False) -> Iterator[Field]:
    """The fields between two positions. At the `top`, as in C++ protobuf, an end-group or zero tag ends the message."""
    position = start
    while position < end:
        tag_at = position
        tag, position = varint(file, position, end)
        number, kind = tag >> 3, tag & 7
        if top and (tag == 0 or kind == END_GROUP):
            yield Field(0, END_GROUP, tag_at, tag_at, end)
            return
        if number == 0:
            file.refuse("a field has no number", tag_at)
        begin = position
        if kind == DELIMITED:
            length, begin = varint(file, position, end)
            position = begin + length
        elif kind == START_GROUP:
            position = _skip_group(file, position, end, number)
        else:
            position = _skip_value(file, position, end, kind, tag_at)
        if position > end:
            file.refuse(f"field {number} needs {position - begin} bytes, {end - begin} are left", tag_at)
        yield Field(number, kind, tag_at, begin, position)


def _skip_value(file: Mapped, position: int, end: int, kind: int, tag_at: int) -> int:
    if kind == VARINT:
        return varint(file, position, end)[1]
    if kind in (FIXED32, FIXED64):
        return position + (4 if kind == FIXED32 else 8)
    file.refuse("the bytes are not a protobuf message", tag_at)


def _skip_group(file: Mapped, position: int, end: int, number: int) -> int:
    opened = [number]
    while opened:
        if len(opened) > GROUP_LIMIT or position >= end:
            file.refuse("a group does not end", position)
        tag_at = position
        tag, position = varint(file, position, end)
        kind = tag & 7
        if kind == START_GROUP:
            opened.append(tag >> 3)
        elif kind == END_GROUP:
            if opened.pop() != tag >> 3:
                file.refuse("a group ends that did not begin", tag_at)
        elif kind == DELIMITED:
            length, position = varint(file, position, end)
            position += length
        else:
            position = _skip_value(file, position, end, kind, tag_at)
    return position


@cache
def names(message_class: Any) -> dict[int, str]:
    """The fields of a message by number. Classes of an extended schema are new ones, so nothing here grows old."""
    return {field.number: field.name for field in message_class.DESCRIPTOR.fields}


def text_of(file: Mapped, at: Field) -> str:
    """A string field's value; bytes that are not UTF-8 stay apart from each other."""
    data = file.bytes(at.start, at.end)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


@dataclass(frozen=True, eq=False)
class StoredBlob:
    """A stored array.

    Attributes:
        array: float32, in Caffe's shape; a view on the file where it holds packed floats, writable without changing it.
        legacy: the shape came as num, channels, height, width.
        diff: the gradient that was stored with it, or None.
    """

    array: np.ndarray
    legacy: bool = False
    _diff: _Values | None = field(default=None, repr=False)
    _pages: tuple[Mapped, int, int] | None = field(default=None, repr=False)

    @property
    def diff(self) -> np.ndarray | None:
        values = self._diff.join() if self._diff else None
        return None if values is None or values.size != self.array.size else values.reshape(self.array.shape)

    def copy(self, shape: tuple[int, ...] | None = None, permutation: tuple[int, ...] | None = None) -> np.ndarray:
        """What the file holds in memory of its own, piece by piece, so that both are never whole in memory.

        Args:
            shape: to reshape to; default: the array's own.
            permutation: to transpose by after that.
        """
        source = self.array.reshape(self.array.shape if shape is None else shape)
        if permutation is None:
            copy = aligned(source.shape)
            self._move(source.reshape(-1), copy.reshape(-1))
        else:
            copy = aligned(tuple(source.shape[axis] for axis in permutation))
            self._move(source, copy.transpose(np.argsort(permutation)))
        return copy

    def _move(self, source: np.ndarray, into: np.ndarray) -> None:
        """Copies some rows at a time, or reads the file into place where the order is the same."""
        if self._pages and into.flags.c_contiguous and into.dtype == "<f4":
            file, start, _ = self._pages
            file.read_into(start, into)
            self.release()
            return
        row = source[:1].nbytes
        rows = max(1, COPY_PIECE // max(row, 1))
        for first in range(0, len(source), rows):
            part = source[first : first + rows]
            if self._pages:
                file, start, _ = self._pages
                read = file.bytes(start + row * first, start + row * first + part.nbytes)
                part = np.frombuffer(read, "<f4").reshape(part.shape)
            into[first : first + rows] = part
        self.release()

    def release(self) -> None:
        """Lets go of the file's pages below the array, after it was copied; writes to it are lost."""
        if self._pages:
            file, start, end = self._pages
            file.release(start, end)


def aligned(shape: tuple[int, ...], alignment: int = 64) -> np.ndarray:
    """An uninitialised float32 array whose memory starts at a multiple of `alignment` bytes, as tensors want it."""
    count = math.prod(shape)
    memory = np.empty(count + alignment // 4, np.float32)
    first = -memory.ctypes.data % alignment // 4
    return memory[first : first + count].reshape(shape)


class _Values:
    """The values of one array of a BlobProto, found in any of its spellings; the widest that is there counts."""

    def __init__(self, file: Mapped) -> None:
        self.file = file
        self.single: list[np.ndarray] = []
        self.double: list[np.ndarray] = []
        self.raw: np.ndarray | None = None
        self.raw_type = 0

    def join(self) -> np.ndarray | None:
        """All values as one flat float32 array; None if there are none."""
        chunks = self.double or self.single
        if self.raw is not None and not chunks:
            chunks = [self.raw.view(self.raw_dtype())]
        if not chunks:
            return None
        values = chunks[0] if len(chunks) == 1 else np.concatenate(chunks)
        with np.errstate(over="ignore", invalid="ignore"):
            return values.astype(np.float32, copy=False)

    def raw_dtype(self) -> str:
        kinds = proto.BlobProto.DESCRIPTOR.fields_by_name["raw_data_type"].enum_type.values_by_number
        kind = kinds[self.raw_type].name if self.raw_type in kinds else str(self.raw_type)
        if kind not in _RAW_TYPES or (self.raw is not None and self.raw.size % np.dtype(_RAW_TYPES[kind]).itemsize):
            raise WeightsError("raw values of a kind that cannot be read", expected=list(_RAW_TYPES), received=kind)
        return _RAW_TYPES[kind]


def is_c3d_width(at: Field) -> bool:
    """Whether a field of a BlobProto is the fifth size that only C3D v1.0 has, where others have their values."""
    return at.number == _WIDTH and at.wire_type == VARINT


class _BlobReader:
    """Reads one BlobProto between two positions of a file."""

    def __init__(self, file: Mapped, start: int, end: int) -> None:
        self.file, self.end = file, end
        self.data, self.diff = _Values(file), _Values(file)
        self.shape: list[bytes] = []
        self.legacy: dict[str, int] = {}
        self.pages = (end, start)
        self.sizes: tuple[str, ...] = _LEGACY
        known = names(proto.BlobProto)
        position = start
        while position < end:
            at = next(fields(file, position, end))
            if known is not _C3D and is_c3d_width(at):
                known = _C3D
                self.as_c3d()
            position = self.take(known.get(at.number, ""), at)

    def as_c3d(self) -> None:
        """Takes the sizes that were read for those of C3D v1.0: the third is the length, the fourth the height."""
        self.sizes = _C3D_LEGACY
        seen = [self.legacy.pop(name) for name in _LEGACY if name in self.legacy]
        self.legacy.update(zip(_C3D_LEGACY, seen, strict=False))

    def take(self, name: str, at: Field) -> int:
        """Takes one field, or a run of unpacked values; returns the position after it."""
        values = self.diff if name.endswith("diff") or name == "raw_diff_type" else self.data
        if name in ("data", "diff", "double_data", "double_diff"):
            return self.numbers(values, name, at)
        if name == "shape" and at.wire_type == DELIMITED:
            if at.end - at.start > SHAPE_BYTES:
                raise WeightsError("the blob has too many axes", expected="at most 32")
            self.shape.append(self.file.bytes(at.start, at.end))
        elif name in ("raw_data", "raw_diff") and at.wire_type == DELIMITED:
            values.raw = np.frombuffer(self.file.bytes(at.start, at.end), "u1")
        elif name in ("raw_data_type", "raw_diff_type") and at.wire_type == VARINT:
            values.raw_type = varint(self.file, at.start, at.end)[0]
        elif name in self.sizes and at.wire_type == VARINT:
            value = varint(self.file, at.start, at.end)[0] & 0xFFFFFFFF
            self.legacy[name] = value - (1 << 32 if value >> 31 else 0)
        return at.end

    def numbers(self, values: _Values, name: str, at: Field) -> int:
        dtype = "<f8" if name.startswith("double") else "<f4"
        width = int(dtype[-1])
        into = values.double if width == 8 else values.single
        if len(into) > CHUNK_LIMIT:
            self.file.refuse("a blob's values lie scattered in too many pieces", at.tag)
        if at.wire_type == DELIMITED:
            if (at.end - at.start) % width:
                self.file.refuse("packed values are cut off", at.start)
            if at.end > at.start:
                into.append(self.file.array(at.start, at.end, dtype))
                if values is self.data:
                    self.pages = (min(self.pages[0], at.start), max(self.pages[1], at.end))
        elif at.wire_type == (FIXED64 if width == 8 else FIXED32):
            run = self.unpacked(at, width)
            into.append(np.ascontiguousarray(run[:, -width:]).view(dtype).ravel())
            return at.tag + run.size
        return at.end

    def unpacked(self, at: Field, width: int) -> np.ndarray:
        """The longest run of fields with the same tag from here on, one row of bytes each."""
        size = at.start - at.tag + width
        rows = self.file.array(at.tag, at.tag + (self.end - at.tag) // size * size, "u1").reshape(-1, size)
        count = 64
        while True:
            same = (rows[:count, :-width] == rows[0, :-width]).all(axis=1)
            if not same.all():
                return rows[: int(same.argmin())]
            if count >= len(rows):
                return rows
            count *= 4

    def blob(self) -> StoredBlob:
        values = self.data.join()
        count = 0 if values is None else values.size
        shape = tuple(self.legacy.get(name, 0) for name in self.sizes)
        if not self.legacy:
            shape = self.axes()
        if any(axis < 0 for axis in shape) or math.prod(shape) != count:
            raise WeightsError(
                "the number of stored values does not match the shape",
                expected=f"{math.prod(shape)} for shape {list(shape)}",
                received=count,
                fix="The file is damaged or was written by a program with an error.",
            )
        try:
            array = (np.empty(0, np.float32) if values is None else values).reshape(shape)
        except ValueError:  # an axis beyond what NumPy counts, beside one of length 0
            raise WeightsError("the blob's shape is too large", received=list(shape)) from None
        start, end = self.pages
        if start < end and any(values is chunk for chunk in self.data.single):  # unpacked values lie in no piece
            return StoredBlob(array, bool(self.legacy), self.diff, (self.file, start, end))
        self.file.release(start, end)  # converted or joined: the values are in memory of their own
        return StoredBlob(array, bool(self.legacy), self.diff)

    def axes(self) -> tuple[int, ...]:
        try:
            shape = tuple(proto.BlobShape.FromString(b"".join(self.shape)).dim)
        except DecodeError:
            self.file.refuse("a blob's shape cannot be read")
        if len(shape) > 32:
            raise WeightsError("the blob has too many axes", expected="at most 32", received=len(shape))
        return shape


def read_blob(file: Mapped, start: int, end: int) -> StoredBlob:
    """The BlobProto between two positions; raises WeightsError if its values are not as many as its shape says."""
    return _BlobReader(file, start, end).blob()
