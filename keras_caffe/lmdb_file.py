"""LMDBs, read without liblmdb, which ends the process where a file is damaged or cut off while it is read.

Pages are read with `pread`, and everything that a page says is checked against the file before it is used. The format
(mdb.c of LMDB 0.9, little-endian, 64 bits): a file is pages of one size, the first two of which are meta pages; the one
of the later transaction names the root of a B+ tree. Values that do not fit a page lie in pages of their own.
"""

from __future__ import annotations

import os
import struct
import weakref
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from keras_caffe.errors import DataError, unreadable

BRANCH, LEAF, OVERFLOW, META = 1, 2, 4, 8  # flags of pages
PAGE = struct.Struct("<QHHHH")  # number, padding, flags, ends of the free space between pointers and nodes
NODE = struct.Struct("<HHHH")  # low and high half of the value's size, flags, the key's size
META_HEAD = struct.Struct("<IIQQ")  # magic, version, address, map size
TREE = struct.Struct("<IHHQQQQQ")  # page size, flags, depth, branch, leaf and overflow pages, entries, root
TREES = PAGE.size + META_HEAD.size  # where a meta page describes its two trees: of free pages, of records
META_TAIL = struct.Struct("<QQ")  # last page, transaction
MAGIC, VERSION = 0xBEEFC0DE, 1
PAGE_SIZES = [1 << bits for bits in range(8, 17)]
DEEPEST = 32
NO_ROOT = 2**64 - 1
PLAIN, BIG = 0, 1  # flags of a leaf's nodes; others mark databases within the database, and keys with several values
LEAST_NODE = 8 + 2  # bytes that an entry takes at least: its node and the pointer to it


class Tree(NamedTuple):
    """Where the records are: the page size, the tree's depth, its entries, its root, and how many pages are in use."""

    page_size: int
    depth: int
    entries: int
    root: int
    used_pages: int


class LmdbFile:
    """The records of an LMDB in the order of their keys. It takes no lock and writes no file.

    Args:
        path: its folder, or its file.
        memory: gives memory for a large record, of the number of bytes that it is asked for.

    Raises:
        DataError: it cannot be opened, is cut off, or is no LMDB. `items` raises it where a page is damaged.
    """

    def __init__(self, path: Path, memory: Callable[[int], bytearray | memoryview] = bytearray) -> None:
        self.memory = memory
        self.path: Path = path / "data.mdb" if path.is_dir() else path
        try:
            self._descriptor = os.open(self.path, os.O_RDONLY)
            weakref.finalize(self, os.close, self._descriptor)
            self.length: int = os.fstat(self._descriptor).st_size
        except OSError as error:
            raise unreadable(self.path, error, DataError) from None
        self.tree: Tree = self._tree()

    def count(self) -> int:
        return self.tree.entries

    def items(self, start: bytes | None = None) -> Iterator[tuple[bytes, memoryview]]:
        """Keys and records, from the first key that is not below `start`."""
        if self.tree.root == NO_ROOT:
            return
        count, last = 0, b""
        for key, value in self._below(self.tree.root, self.tree.depth, start):
            if count and key <= last:
                raise self._damaged("the keys are not in their order", f"{key!r} after {last!r}")
            count, last = count + 1, key
            yield key, value
        if start is None and count != self.tree.entries:
            raise self._damaged("it holds another number of records than it states", f"{count}, not {self.count()}")

    def _below(self, number: int, levels: int, start: bytes | None) -> Iterator[tuple[bytes, memoryview]]:
        """The records below a page, which is so many levels above the records."""
        page, nodes = self._page(number, LEAF if levels == 1 else BRANCH)
        if levels == 1:
            first = 0 if start is None else bisect_left(nodes, start, key=lambda node: self._key(page, node))
            yield from ((self._key(page, node), self._value(page, node)) for node in nodes[first:])
            return
        # A branch's first key is empty: it stands for whatever lies below the second.
        first = 0 if start is None else bisect_right(nodes, start, 1, key=lambda node: self._key(page, node)) - 1
        for place, node in enumerate(nodes[first:]):
            low, high, top, _ = NODE.unpack_from(page, node)
            yield from self._below(low | high << 16 | top << 32, levels - 1, start if place == 0 else None)

    def _page(self, number: int, kind: int) -> tuple[bytes, tuple[int, ...]]:
        """A page of the tree, and where its nodes begin."""
        size = self.tree.page_size
        page = self._read(number * size, size)
        own, _, flags, lower, upper = PAGE.unpack_from(page)
        if own != number or flags & (BRANCH | LEAF | OVERFLOW | META) != kind:
            raise self._damaged(f"page {number} is not what the pages above it say")
        if not PAGE.size + 2 <= lower <= upper <= size or lower % 2:
            raise self._damaged(f"page {number} has an impossible head")
        nodes = struct.unpack_from(f"<{(lower - PAGE.size) // 2}H", page, PAGE.size)
        if min(nodes) < upper or max(nodes) > size - NODE.size:
            raise self._damaged(f"page {number} has nodes outside of it")
        return page, nodes

    def _key(self, page: bytes, node: int) -> bytes:
        begin = node + NODE.size
        end = begin + NODE.unpack_from(page, node)[3]
        if end > len(page):
            raise self._damaged("a key reaches beyond its page")
        return page[begin:end]

    def _value(self, page: bytes, node: int) -> memoryview:
        low, high, flags, key_size = NODE.unpack_from(page, node)
        size, begin = low | high << 16, node + NODE.size + key_size
        if flags == PLAIN and begin + size <= len(page):
            return memoryview(page)[begin : begin + size]
        if flags != BIG or begin + 8 > len(page):
            raise self._damaged("a record is of another kind, or reaches beyond its page")
        (number,) = struct.unpack_from("<Q", page, begin)
        pages = self._into(number * self.tree.page_size, PAGE.size + size, self.memory)
        own, _, kind, *_ = PAGE.unpack_from(pages)
        if own != number or not kind & OVERFLOW:
            raise self._damaged(f"page {number} holds no record")
        return pages[PAGE.size :]

    def _tree(self) -> Tree:
        """The records' tree, as the later one of the two meta pages states it."""
        first = self._meta(0)
        metas = [meta for meta in (first, first and self._meta(first[0].page_size)) if meta]
        if not metas:
            raise self._damaged("this is no LMDB that can be read")
        tree = max(metas, key=lambda meta: meta[1])[0]
        # The last page's number is no measure: the page may be free, and not written.
        needed = tree.used_pages * tree.page_size
        if needed > self.length:
            raise DataError(
                "the database is cut off",
                where=str(self.path),
                expected=f"at least {needed} bytes",
                received=self.length,
                fix="Copy or write it again.",
            )
        if tree.root != NO_ROOT and not (0 < tree.depth <= DEEPEST and tree.entries <= self.length // LEAST_NODE):
            raise self._damaged("the LMDB counts impossibly", f"{tree.entries} records, {tree.depth} levels of pages")
        return tree if tree.root != NO_ROOT else tree._replace(entries=0)

    def _meta(self, at: int) -> tuple[Tree, int] | None:
        """What a meta page states, and its transaction; None if it is no such page."""
        size = TREES + 2 * TREE.size + META_TAIL.size
        if at + size > self.length:
            return None
        page = self._read(at, size)
        magic, version, *_ = META_HEAD.unpack_from(page, PAGE.size)
        page_size, *_, free_branches, free_leaves, free_overflow, _, _ = TREE.unpack_from(page, TREES)
        _, flags, depth, branches, leaves, overflow, entries, root = TREE.unpack_from(page, TREES + TREE.size)
        _, transaction = META_TAIL.unpack_from(page, size - META_TAIL.size)
        if (magic, version, flags) != (MAGIC, VERSION, 0) or page_size not in PAGE_SIZES:
            return None
        used = 2 + free_branches + free_leaves + free_overflow + branches + leaves + overflow
        return Tree(page_size, depth, entries, root, used), transaction

    def _read(self, at: int, size: int) -> bytes:
        """Bytes of the file."""
        return bytes(self._into(at, size, bytearray))

    def _into(self, at: int, size: int, memory: Callable[[int], bytearray | memoryview]) -> memoryview:
        """Bytes of the file in the caller's memory, which is taken only for what is there."""
        if at + size <= self.length:
            data = memoryview(memory(size))
            try:
                read = os.preadv(self._descriptor, [data], at)
            except OSError as error:
                raise unreadable(self.path, error, DataError) from None
            if read == size:
                return data.toreadonly()
        raise self._damaged("a page lies beyond the end of the file", f"{size} bytes at {at}")

    def _damaged(self, problem: str, received: str | None = None) -> DataError:
        fix = "It is damaged, or was written on a machine of another kind: copy or write it again."
        return DataError("the LMDB cannot be read: " + problem, where=str(self.path), received=received, fix=fix)
