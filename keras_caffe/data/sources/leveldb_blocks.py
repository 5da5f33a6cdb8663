"""What the tables of a LevelDB state of their blocks' sizes, read before LevelDB takes memory for them.

A table (leveldb's doc/table_format.md) is blocks, an index of them and a footer. Behind each block stand a byte for its
compression (1: snappy) and four for a checksum; snappy's stream begins with its unpacked length.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from keras_caffe.errors import DataError

MAGIC = 0xDB4775248B80FB57
FOOTER, TRAILER, SNAPPY = 48, 5, 1
RATIO = 22  # snappy copies 64 bytes at most for each three
LARGE = (1 << 32) // RATIO  # bytes; no block of a larger database can state more than RATIO times the database


def check_tables(path: Path, tables: list[Path]) -> list[Path]:
    """Refuses tables whose blocks lie beyond the file, or would unpack to more than snappy can.

    Returns:
        Those without a footer, of which LevelDB reads nothing: cut off, or left by a killed writer and in no use.

    Raises:
        DataError: one does.
    """
    large = sum(table.stat().st_size for table in tables) > LARGE
    unfinished = []
    for table in tables:
        with table.open("rb") as file:
            one = _Table(path, table, file.fileno())
            if one.footer is None:
                unfinished.append(table)
            elif not large:
                one.check(one.footer)
    return unfinished


def refuse_unfinished(path: Path, unfinished: list[Path], listed: bytes) -> None:
    """Refuses tables without a footer that belong to the database: LevelDB would leave their records out silently.

    Args:
        path: the database.
        unfinished: the tables.
        listed: the property leveldb.sstables of the opened database, a line ` NUMBER:...` for each that belongs to it.

    Raises:
        DataError: one is listed.
    """
    used = {int(number) for number in re.findall(rb"^ (\d+):", listed, re.MULTILINE)}
    for table in unfinished:
        if table.stem.isdecimal() and int(table.stem) in used:
            raise _damaged(path, table, "it has no footer")


def _damaged(path: Path, table: Path, received: str) -> DataError:
    return DataError(
        "a table of the LevelDB is damaged",
        where=f"{path}/{table.name}",
        received=received,
        fix="Copy or write it again.",
    )


class _Table:
    def __init__(self, path: Path, table: Path, descriptor: int) -> None:
        self.path, self.table, self.descriptor = path, table, descriptor
        self.size = os.fstat(descriptor).st_size
        footer = os.pread(descriptor, FOOTER, max(0, self.size - FOOTER))
        self.footer = footer if len(footer) == FOOTER and int.from_bytes(footer[-8:], "little") == MAGIC else None

    def check(self, footer: bytes) -> None:
        _, _, position = self._handle(footer, 0)
        offset, length, _ = self._handle(footer, position)
        index = self._unpacked(offset, length)
        for offset, length in self._handles(index):
            self._stated(offset, length)

    def _stated(self, offset: int, length: int) -> int | None:
        """The unpacked length that a block states; None if it is not packed."""
        if offset + length + TRAILER > self.size:
            raise self._damaged(f"a block ends at {offset + length + TRAILER} of {self.size} bytes")
        if os.pread(self.descriptor, 1, offset + length) != bytes([SNAPPY]):
            return None
        stated, _ = self._number(os.pread(self.descriptor, 10, offset), 0)
        if stated > RATIO * length + RATIO:
            raise self._damaged(f"a block of {length} bytes states that it unpacks to {stated}")
        return stated

    def _unpacked(self, offset: int, length: int) -> bytes:
        stated, data = self._stated(offset, length), os.pread(self.descriptor, length, offset)
        return data if stated is None else self._unsnappy(data)

    def _unsnappy(self, data: bytes) -> bytes:
        size, position = self._number(data, 0)
        out = bytearray()
        while position < len(data) and len(out) <= size:
            tag, position = data[position], position + 1
            kind, count = tag & 3, (tag >> 2) + 1
            if kind == 0:
                more = max(0, count - 60)
                count = int.from_bytes(data[position : position + more], "little") + 1 if more else count
                position += more
                out += data[position : position + count]
                position += count
                continue
            width = (1, 2, 4)[kind - 1]
            back = int.from_bytes(data[position : position + width], "little") + (tag >> 5 << 8 if kind == 1 else 0)
            position, count = position + width, (tag >> 2 & 7) + 4 if kind == 1 else count
            if not 0 < back <= len(out):
                break
            start = len(out) - back
            piece = bytes(out[start : start + count])
            out += (piece * (count // len(piece) + 1))[:count]
        if len(out) != size:
            raise self._damaged("its index cannot be unpacked")
        return bytes(out)

    def _handles(self, index: bytes) -> Iterator[tuple[int, int]]:
        """Where the blocks are: the values of an index block, whose keys share beginnings."""
        restarts = int.from_bytes(index[-4:], "little")
        position, end = 0, len(index) - 4 * (restarts + 1)
        while position < end:
            _, position = self._number(index, position)
            unshared, position = self._number(index, position)
            length, position = self._number(index, position)
            offset, size, _ = self._handle(index, position + unshared)
            yield offset, size
            position += unshared + length

    def _handle(self, data: bytes, position: int) -> tuple[int, int, int]:
        offset, position = self._number(data, position)
        size, position = self._number(data, position)
        return offset, size, position

    def _number(self, data: bytes, position: int) -> tuple[int, int]:
        """A number in groups of seven bits, and where it ends."""
        value = 0
        for shift in range(0, 70, 7):
            if position >= len(data):
                break
            byte, position = data[position], position + 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value, position
        raise self._damaged("a number has no end")

    def _damaged(self, received: str) -> DataError:
        return _damaged(self.path, self.table, received)
