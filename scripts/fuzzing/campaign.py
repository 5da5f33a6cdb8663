"""Runs targets with Atheris, each in a process of its own with a limit of memory, and counts what it has run."""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import re
import resource
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from scripts.fuzzing.target import MEMORY, Finding, Target, attempt, file_of

COUNT = struct.Struct("<Q")
HANGS_AFTER = 120  # seconds without an end to an input, in code that no signal interrupts, on a busy machine
NEVER = 1_000_000  # seconds
FORKED_AGAIN = 200  # times that a target's process may end in the midst of an input


@dataclass
class Tally:
    """What was run of a target, over all runs.

    Args:
        inputs: how many.
        seconds: in how much time.
        found: faults, by where they are, with the file of an input for each.
    """

    inputs: int = 0
    seconds: float = 0.0
    found: dict[str, str] = field(default_factory=dict)

    @property
    def fine(self) -> bool:
        """Something was run, and nothing found."""
        return self.inputs > 0 and not self.found


class State:
    """The tallies in a file, and inputs worth keeping in folders beside it."""

    def __init__(self, file: Path) -> None:
        self.file, self.folder = file, file.absolute().parent
        self.folder.mkdir(parents=True, exist_ok=True)
        told = json.loads(file.read_text()) if file.exists() else {}
        self.tallies = {name: Tally(**one) for name, one in told.items()}

    def add(self, name: str, run: Tally) -> None:
        tally = self.tallies.setdefault(name, Tally())
        tally.inputs, tally.seconds = tally.inputs + run.inputs, round(tally.seconds + run.seconds, 1)
        tally.found |= run.found
        spare = self.file.with_suffix(".new")
        spare.write_text(json.dumps({name: vars(one) for name, one in self.tallies.items()}, indent=1))
        spare.replace(self.file)

    def inputs(self, name: str) -> Path:
        return _made(self.folder / "inputs" / name)

    def findings(self, name: str) -> Path:
        return _made(self.folder / "findings" / name)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Campaign:
    """One run of a target.

    Args:
        name, target: what is run.
        state: where inputs are kept.
        seconds, inputs: when it ends, whichever comes first; 0 for no limit.
        seed: of the mutations; another one after each end of the process.
    """

    def __init__(self, name: str, target: Target, state: State, seconds: float, inputs: int, seed: int) -> None:
        self.name, self.target, self.seed = name, target, seed
        self.inputs, self.findings = state.inputs(name), state.findings(name)
        self.seconds, self.most = seconds, inputs
        file_of(
            b"", "spare"
        )  # their folder is this process's, which removes it at its end; a child may not come to that
        self._shared = mmap.mmap(-1, COUNT.size)  # a child that dies has counted

    def run(self) -> Tally:
        """Runs the target to the end, in new processes where one dies."""
        self._write_seeds()
        before, start = set(self.findings.iterdir()), time.monotonic()
        for round in range(FORKED_AGAIN):
            left = self.seconds - (time.monotonic() - start) if self.seconds else 0
            if (self.seconds and left < 1 and round) or (self.most and self._count() >= self.most):
                break
            if self._forked(left, self.seed + round) == 0:
                break
        new = sorted(set(self.findings.iterdir()) - before)
        found = {_place(file): str(file) for file in new if file.suffix != ".txt"}
        return Tally(self._count(), time.monotonic() - start, found)

    def _count(self) -> int:
        return COUNT.unpack_from(self._shared)[0]

    def _write_seeds(self) -> None:
        for content in self.target.first_inputs():
            (self.inputs / hashlib.sha1(content, usedforsecurity=False).hexdigest()).write_bytes(content)

    def _forked(self, seconds: float, seed: int) -> int:
        """Runs the target in a child process; returns how that ended."""
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            try:
                self._fuzz(seconds, seed)
            finally:  # Atheris ends the process; what comes here went wrong
                os._exit(2)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def _fuzz(self, seconds: float, seed: int) -> None:
        import atheris

        with open(self.findings.parent / f"{self.name}.log", "a") as log:  # noqa: PTH123 - a descriptor is needed
            os.dup2(log.fileno(), 1), os.dup2(log.fileno(), 2)
        limit_memory(self.target)
        atheris.Setup(self._options(seconds, seed), self._one, custom_mutator=self._mutated)
        atheris.Fuzz()

    def _options(self, seconds: float, seed: int) -> list[str]:
        """libFuzzer's command line."""
        return [
            self.name,
            str(self.inputs),
            f"-seed={seed % (1 << 31) + 1}",
            f"-max_len={self.target.longest}",
            f"-max_total_time={max(1, round(seconds)) if self.seconds else 0}",
            f"-runs={self.most - self._count() if self.most else -1}",
            f"-timeout={HANGS_AFTER}",
            f"-report_slow_units={NEVER}",  # it would keep slow inputs among the faults
            "-rss_limit_mb=0",
            f"-artifact_prefix={self.findings}/",
        ]

    def _one(self, data: bytes) -> None:
        COUNT.pack_into(self._shared, 0, self._count() + 1)
        finding = attempt(self.target, data)
        if finding is not None:
            keep(finding, data, self.findings)

    def _mutated(self, data: bytes, longest: int, seed: int) -> bytes:
        import atheris

        random = Random(seed)
        if random.random() < 0.3:
            return atheris.Mutate(data, longest)
        return self.target.mutate(random, data)[:longest]


def keep(finding: Finding, data: bytes, folder: Path) -> None:
    """Writes the input of a fault, if it is the first or the shortest of its kind, and beside it what came out."""
    name = re.sub(r"\W+", "-", finding.place)
    file = folder / name
    if not file.exists() or len(data) < file.stat().st_size:
        file.write_bytes(data)
        file.with_suffix(".txt").write_text(str(finding))


def limit_memory(target: Target) -> None:
    """Takes the right to more memory than a reader may have away from this process."""
    used = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData"))
    limit = (int(used.split()[1]) << 10) + MEMORY + 4 * target.longest
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _place(file: Path) -> str:
    return file.name.split("-", 1)[0] + " " + file.name.split("-", 1)[-1]


def replay(targets: dict[str, Target], name: str, files: list[Path]) -> Iterator[tuple[Path, Finding | None]]:
    """What comes out of inputs once more, without Atheris."""
    for file in files:
        yield file, attempt(targets[name], file.read_bytes())
