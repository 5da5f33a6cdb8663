"""What logs of trainings tell, Caffe's and ours: the lines of `solver/display.py`, with glog's prefix or without."""

from __future__ import annotations

import os
import re
from pathlib import Path

from keras_caffe.errors import ReadError, unreadable

Curve = tuple[list[int], list[float]]
"""Iterations and values"""

_ITERATION = re.compile(r"Iteration (\d+)")
_VALUE = re.compile(r"Iteration \d+(?: \([^)]*\))?, (loss|lr) = ([^\s,]+)")
_NET = re.compile(r"Testing net \(#(\d+)\)")
_OUTPUT = re.compile(r"(Train|Test) (?:net output|score) #(\d+): (?:(\S+) = )?(\S+)")


def read_log(path: str | os.PathLike[str]) -> dict[str, Curve]:
    """The curves in a log.

    Args:
        path: what Caffe or `keras-caffe train` has written, as a whole or in part. Where it tells of an iteration
            twice, as after a resumption, the later line counts.

    Returns:
        {curve: (iterations, values)}: "loss", which is smoothed, "lr", "train NAME" and "test NAME" for outputs, of
        further test nets "test 1 NAME"; further values of an output are "test NAME[1]".

    Raises:
        ReadError: the file cannot be read, or tells of no iteration.
    """
    reader = _Reader()
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                reader.take(line)
    except OSError as error:
        raise unreadable(path, error) from None
    if not reader.points:
        raise ReadError(
            "the file names no iteration",
            where=str(path),
            expected="lines such as `Iteration 100, loss = 0.5`",
            fix="Log with a `display` above 0 in the solver.",
        )
    return {name: (sorted(points), [points[i] for i in sorted(points)]) for name, points in reader.points.items()}


class _Reader:
    def __init__(self) -> None:
        self.points: dict[str, dict[int, float]] = {}
        self._iteration: int | None = None
        self._net = ""
        self._seen: dict[str, int] = {}  # outputs of the block of lines so far

    def take(self, line: str) -> None:
        if found := _ITERATION.search(line):
            self._iteration, self._seen = int(found[1]), {}
            net = _NET.search(line)
            self._net = f"{net[1]} " if net and net[1] != "0" else ""
        if found := _VALUE.search(line):
            self._add(found[1], found[2])
        elif found := _OUTPUT.search(line):
            phase, number, name, value = found.groups()
            self._add_output(phase.lower(), name or f"score {number}", value)

    def _add_output(self, phase: str, name: str, value: str) -> None:
        place = self._seen.get(name, 0)
        self._seen[name] = place + 1
        net = self._net if phase == "test" else ""
        self._add(f"{phase} {net}{name}" + (f"[{place}]" if place else ""), value)

    def _add(self, curve: str, value: str) -> None:
        try:
            number = float(value)
        except ValueError:  # the line was cut off
            return
        if self._iteration is not None:
            self.points.setdefault(curve, {})[self._iteration] = number
