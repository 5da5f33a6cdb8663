"""Repeated parts of a list of statements, found by their structure."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from keras import tree

from keras_caffe.code.statements import Ref, Statement

SHORTEST, LONGEST = 3, 40


@dataclass
class Block:
    """A function: the statements of its first use, and where it is used.

    Args:
        body: statements of one use.
        uses: (first statement, value that goes in) of each.
    """

    body: list[Statement]
    starts: list[int]
    entries: list[int]
    bodies: list[list[Statement]] = field(default_factory=list)


@dataclass(frozen=True)
class Call:
    """A use of a block in place of its statements."""

    key: int
    block: int
    entry: int
    number: int
    title: str

    several = False

    @property
    def keys(self) -> tuple[int, ...]:
        return (self.key,)

    def refs(self) -> Iterator[int]:
        yield self.entry


Line = Statement | Call


def found_blocks(lines: list[Statement], outputs: Sequence[int]) -> tuple[list[Line], list[Block]]:
    """The statements with calls in place of repeated ones, and the blocks that they call."""
    result: list[Line] = list(lines)
    blocks: list[Block] = []
    while (block := _best(result, set(outputs))) is not None:
        size = len(block.body)
        for number, start in reversed(list(enumerate(block.starts))):
            body = result[start : start + size]
            call = Call(body[-1].key, len(blocks), block.entries[number], number, body[-1].title)
            result[start : start + size] = [call]
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
                uses = groups[_shape(window, entry)]  # type: ignore[arg-type]
                if not uses or uses[-1][0] + size <= start:
                    uses.append((start, entry))
        for uses in groups.values():
            gain = (size - 1) * len(uses) - size - 3
            if any(len(set(line.refs())) > 1 for line in lines[uses[0][0] : uses[0][0] + size]):
                gain = gain * 3 // 2  # Branches that meet again are what people call a block.
            if len(uses) > 1 and gain > 0 and gain >= saved:  # of equal ones that which begins later
                bodies: Any = [lines[start : start + size] for start, _ in uses]
                best = Block(bodies[0], [start for start, _ in uses], [entry for _, entry in uses], bodies)
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


def _shape(window: Sequence[Statement], entry: int) -> Any:
    """What two uses of one function have in common: calls, keywords and who uses whom."""
    places = {entry: (-1, 0)}
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
