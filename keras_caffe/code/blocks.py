"""Repeated parts of a list of statements, found by their structure."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import tree

from keras_caffe.code.statements import Ref, Statement

SHORTEST, LONGEST = 3, 40


@dataclass
class Block:
    """A function: the statements of its first use, and where it is used.

    Args:
        starts, bodies, entries: of each use the place of its first statement, its statements, and what goes in.
        exits: places in the body of what comes out.
    """

    starts: list[int]
    bodies: list[list[Statement]]
    entries: list[tuple[int, ...]]
    exits: tuple[int, ...]

    @property
    def body(self) -> list[Statement]:
        """The statements of the first use."""
        return self.bodies[0]


@dataclass(frozen=True)
class Call:
    """A use of a block in place of its statements."""

    keys: tuple[int, ...]
    block: int
    entries: tuple[int, ...]
    number: int
    title: str

    several = False

    @property
    def key(self) -> int:
        return self.keys[0]

    def refs(self) -> Iterator[int]:
        yield from self.entries


Line = Statement | Call


def found_blocks(lines: list[Statement], outputs: Sequence[int]) -> tuple[list[Line], list[Block]]:
    """The statements with calls in place of repeated ones, and the blocks that they call."""
    result: list[Line] = list(lines)
    blocks: list[Block] = []
    while (block := _best(result, set(outputs)) or _steps(result, set(outputs))) is not None:
        for number, (start, body) in reversed(list(enumerate(zip(block.starts, block.bodies, strict=True)))):
            keys = tuple(body[place].key for place in block.exits)
            result[start : start + len(body)] = [Call(keys, len(blocks), block.entries[number], number, body[-1].title)]
        blocks.append(block)
    return result, blocks


def _best(lines: list[Line], outputs: set[int]) -> Block | None:
    """The block that saves most lines."""
    used: dict[int, list[int]] = defaultdict(list)
    for place, line in enumerate(lines):
        for key in line.refs():
            used[key].append(place)
    best, saved = None, 0
    for size in range(min(LONGEST, len(lines) // 2), SHORTEST - 1, -1):
        groups: dict[Any, list[tuple[int, int]]] = defaultdict(list)
        for start in range(len(lines) - size + 1):
            window = lines[start : start + size]
            entry = _entry(window, start, used, outputs)
            if entry is not None:
                uses = groups[_shape(window, (entry,))]  # type: ignore[arg-type]
                if not uses or uses[-1][0] + size <= start:
                    uses.append((start, entry))
        for uses in groups.values():
            gain = (size - 1) * len(uses) - size - 3
            if any(len(set(line.refs())) > 1 for line in lines[uses[0][0] : uses[0][0] + size]):
                gain = gain * 3 // 2  # Branches that meet again are what people call a block.
            if len(uses) > 1 and gain > 0 and gain >= saved:  # of equal ones that which begins later
                bodies: Any = [lines[start : start + size] for start, _ in uses]
                best = Block([start for start, _ in uses], bodies, [(entry,) for _, entry in uses], (size - 1,))
                saved = gain
    return best


def _entry(window: Sequence[Line], start: int, used: Any, outputs: set[int]) -> int | None:
    """The one value that goes in, where nothing but the last statement's comes out."""
    if not all(isinstance(line, Statement) and line.held is None for line in window):
        return None
    own = {key for line in window for key in line.keys}
    outside = {key for line in window for key in line.refs() if key not in own}
    inner = own - {window[-1].key}
    stop = start + len(window)
    if len(outside) != 1 or inner & outputs or window[-1].several:
        return None
    return outside.pop() if all(place < stop for key in inner for place in used[key]) else None


def _steps(lines: Sequence[Line], outputs: set[int]) -> Block | None:
    """Operations that follow each other again and again, as those of the steps in time of a recurrent layer."""
    kinds = [_kind(line) for line in lines]
    length, period, first = max(_run(kinds, size) for size in range(SHORTEST, LONGEST))
    if length < 3 * -period:
        return None
    last = {key: place for place, line in enumerate(lines) for key in line.refs()} | dict.fromkeys(outputs, len(lines))
    found = [_cut(lines, last, range(first + phase, first + length + 1, -period), -period) for phase in range(-period)]
    return min(filter(None, found), key=lambda block: len(block.entries[0]) + len(block.exits), default=None)


def _kind(line: Line) -> Any:
    """What an operation has in common with that of another step."""
    if isinstance(line, Statement) and not line.name and line.held is None:
        return line.callee, len(line.keys), [key for key, _ in line.arguments]
    return id(line)


def _run(kinds: Sequence[Any], period: int) -> tuple[int, int, int]:
    """(length, minus the period, start) of the longest run of statements like those a period later."""
    best = length = start = 0
    for place in range(period, len(kinds)):
        length = length + 1 if kinds[place] == kinds[place - period] else 0
        if length > best:
            best, start = length, place + 1 - length - period
    return best, -period, start


def _cut(lines: Sequence[Line], last: Mapping[int, int], starts: Sequence[int], size: int) -> Block | None:
    """The block whose uses begin at `starts`, those that are alike; `last` says where a value goes in last."""
    groups: dict[Any, list[tuple[int, tuple[int, ...]]]] = defaultdict(list)
    exits: set[int] = set()
    for start in starts:
        window: Any = lines[start : start + size]
        own = {key for line in window for key in line.keys}
        entries = tuple(dict.fromkeys(key for line in window for key in line.refs() if key not in own))
        groups[_shape(window, entries)].append((start, entries))
        exits |= {n for n, line in enumerate(window) if any(last.get(key, -1) >= start + size for key in line.keys)}
    uses = max(groups.values(), key=len)
    bodies: Any = [lines[start : start + size] for start, _ in uses]
    if len(uses) < 3 or any(len(bodies[0][place].keys) > 1 for place in exits):
        return None
    return Block([start for start, _ in uses], bodies, [entries for _, entries in uses], tuple(sorted(exits)))


def _shape(window: Sequence[Statement], entries: Sequence[int]) -> Any:
    """What two uses of one function have in common: calls, keywords and who uses whom."""
    places = {entry: (-1, number) for number, entry in enumerate(entries)}
    places |= {key: (place, number) for place, line in enumerate(window) for number, key in enumerate(line.keys)}

    def plain(value: Any) -> Any:
        if isinstance(value, Ref):
            return ("ref", places[value.key])
        if isinstance(value, np.ndarray):
            return (value.dtype.str, value.shape, value.tobytes())
        return type(value).__name__ if isinstance(value, (int, float)) and not isinstance(value, bool) else repr(value)

    return tuple(
        (line.callee, len(line.keys), tuple(key for key, _ in line.arguments), _flat(line, plain)) for line in window
    )


def _flat(line: Statement, plain: Any) -> Any:
    values = tree.flatten((line.inputs, [value for _, value in line.arguments]))
    return tuple(plain(value) for value in values)


def common(texts: Sequence[str]) -> tuple[str, str]:
    """What all texts begin and end with; the two do not overlap."""
    before = os.path.commonprefix(list(texts))
    rest = [text[len(before) :] for text in texts]
    after = os.path.commonprefix([text[::-1] for text in rest])[::-1]
    return before, after
