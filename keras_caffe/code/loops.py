"""Statements that repeat, as loops."""

from __future__ import annotations

import re
from collections.abc import Sequence

from keras_caffe.code.layout import fitted

SHORTEST = 3
"""Repetitions of which a loop is made"""
LONGEST = 6
"""Statements in a loop"""
COUNTED = re.compile(r'(x = \w+\(x, )"([^"{}\\]*?)([1-9]\d{0,3}|0)(".*)')
"""A call whose first text ends with a number"""


def looped(lines: Sequence[str]) -> list[str]:
    """The rows of a function's body, of its statements without indentation.

    Statements of which only the number at the end of the first text grows, by 1, and statements that follow each other
    again and again in the same words, are said once.
    """
    rows: list[str] = []
    index = 0
    while index < len(lines):
        count = _counted(lines, index)
        size, times = (1, count) if count >= SHORTEST else _repeated(lines, index)
        if times < SHORTEST:
            rows += fitted(lines[index])
            index += 1
            continue
        rows += _numbered(lines[index], count) if count >= SHORTEST else _again(lines[index : index + size], times)
        index += size * times
    return rows


def _counted(lines: Sequence[str], index: int) -> int:
    """How many statements from here on count up."""
    first = COUNTED.fullmatch(lines[index])
    if first is None:
        return 0
    head, prefix, number, tail = first.groups()
    count = 0
    while lines[index + count : index + count + 1] == [f'{head}"{prefix}{int(number) + count}{tail}']:
        count += 1
    return count


def _repeated(lines: Sequence[str], index: int) -> tuple[int, int]:
    """(how many statements repeat from here on, how often) of those that repeat most often."""
    found = (1, 1)
    for size in range(1, LONGEST + 1):
        body, times = lines[index : index + size], 1
        while lines[index + size * times : index + size * (times + 1)] == body:
            times += 1
        if times > found[1]:
            found = size, times
    return found


def _numbered(line: str, count: int) -> list[str]:
    match = COUNTED.fullmatch(line)
    head, prefix, number, tail = match.groups() if match else ("", "", "0", "")
    return [
        f"    for number in range({number}, {int(number) + count}):",
        *fitted(f'{head}f"{prefix}{{number}}{tail}', 8),
    ]


def _again(lines: Sequence[str], times: int) -> list[str]:
    return [f"    for _ in range({times}):", *(row for line in lines for row in fitted(line, 8))]
