"""Kills writers at random instants, and lets them write where they cannot: `torture.py [WRITER ...] --kills 100`.

A process writes two variants of a file in turn, over and over, until SIGKILL ends it. Then one of them must be there,
whole, or nothing if nothing was; the next process must write as if nothing had happened; and nothing else may be left.
The faults: a full disk, a quota, a folder that may not be written or entered (as an ordinary user), a clock that
jumps, two writers at once. Counts are added to the state file; the seed is printed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from keras_caffe.errors import CaffeError  # noqa: E402
from scripts.torturing.writers import WRITERS, Writer  # noqa: E402

WRITTEN, REFUSED, BROKEN = 0, 3, 4  # how a process that writes once ends
NOBODY = 65534
SMALL = 8192  # bytes of the full disk, and of the quota
DISK = 1 << 16  # bytes of the small disk, which is filled but for SMALL
LONGEST = 60.0  # seconds for one file


class Tortured:
    """One writer in a folder of its own.

    Args:
        writer: what writes.
        folder: where.
    """

    def __init__(self, writer: Writer, folder: Path) -> None:
        self.writer, self.folder = writer, folder

    def once(self, variant: int, before: Callable[[], object] = lambda: None) -> int:
        """Lets a process write once; how it ended."""

        def body() -> int:
            self.writer.begin()
            before()
            self.writer.write(self.folder, variant)
            return WRITTEN

        return _ended(_forked(body))

    def killed(self, chosen: random.Random, duration: float) -> list[str]:
        """Kills a process while it writes; what was wrong afterwards."""
        before = self.writer.found(self.folder)
        ready, started = os.pipe()
        child = _forked(lambda: self._endless(started))
        os.close(started)
        os.read(ready, 1)
        os.close(ready)
        time.sleep(chosen.uniform(0, 3 * duration))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return self._checked(before)

    def _endless(self, started: int) -> int:
        self.writer.begin()
        os.write(started, b"x")
        variant = 0
        while True:
            self.writer.write(self.folder, variant)
            variant = 1 - variant

    def two_at_once(self, seconds: float) -> list[str]:
        """Two processes write the same for a while; what was wrong afterwards."""

        def body(variant: int) -> int:
            self.writer.begin()
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                with contextlib.suppress(CaffeError, FileNotFoundError):  # one may find the other's, or its own gone
                    self.writer.write(self.folder, variant)
            return WRITTEN

        children = [_forked(lambda variant=variant: body(variant)) for variant in (0, 1)]
        ends = [_ended(child) for child in children]
        wrong = [f"a writer beside another ended with {end}" for end in ends if end != WRITTEN]
        return wrong + self._checked(None)

    def refused(self, before: Callable[[], object]) -> list[str]:
        """A write that something keeps from its end; what was wrong afterwards."""
        old = self.writer.found(self.folder)
        ended = self.once(1 - (old or 0), before)
        wrong = [] if ended in (WRITTEN, REFUSED) else [f"the writer ended with {ended}, not with a CaffeError"]
        return wrong + (
            [] if self._found_is((old, 1 - (old or 0), *self._gone())) else ["what is there is neither old nor new"]
        )

    def _checked(self, before: int | None) -> list[str]:
        """What is wrong after a kill: with what is there, with the next write, or with what is left over."""
        wrong = [] if self._found_is((before, 0, 1, *self._gone())) else ["what is there is not whole"]
        for variant in (0, 1):
            if (ended := self.once(variant)) != WRITTEN:
                wrong.append(f"the next write ended with {ended}")
            elif not self._found_is((variant,)):
                wrong.append("the next write is not there")
        left = sorted(path.name for path in self.folder.rglob(".*") if path.name.startswith("."))
        return wrong + ([f"left over: {', '.join(left)}"] if left else [])

    def _gone(self) -> tuple[None, ...]:
        return () if self.writer.replaces else (None,)

    def _found_is(self, allowed: Sequence[int | None]) -> bool:
        try:
            return self.writer.found(self.folder) in allowed
        except Exception:
            traceback.print_exc()
            return False


def _forked(body: Callable[[], int]) -> int:
    """Runs a function in a child process, which ends with its result; the child's id."""
    sys.stdout.flush(), sys.stderr.flush()
    child = os.fork()
    if child == 0:
        code = BROKEN
        try:
            code = body()
        except CaffeError:
            code = REFUSED
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return child


def _ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# Faults: each prepares the folder, and gives what the writing process does before it writes


@contextlib.contextmanager
def full_disk(folder: Path) -> Iterator[Callable[[], object]]:
    """All but a few kilobytes are taken."""
    filler = folder.parent / "filler"
    with filler.open("wb") as file, contextlib.suppress(OSError):
        file.write(bytes(os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize - SMALL))
    yield lambda: None
    filler.unlink()


@contextlib.contextmanager
def quota(folder: Path) -> Iterator[Callable[[], object]]:
    """No file may grow beyond a few kilobytes."""
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, SMALL))


@contextlib.contextmanager
def closed_folder(folder: Path, mode: int) -> Iterator[Callable[[], object]]:
    """The folder may not be written to, or entered, by an ordinary user."""
    folder.chmod(mode)
    yield (lambda: os.setuid(NOBODY)) if os.getuid() == 0 else lambda: None
    folder.chmod(0o755)


@contextlib.contextmanager
def jumping_clock(folder: Path) -> Iterator[Callable[[], object]]:
    """What is there is from the future, and each look at the clock says another year."""
    for path in folder.rglob("*"):
        os.utime(path, (2e9, 2e9))
    years = random.Random(1)
    yield lambda: mock.patch("time.time", lambda: years.uniform(0, 4e9)).start()


FAULTS: dict[str, Callable[[Path], contextlib.AbstractContextManager[Callable[[], object]]]] = {
    "quota": quota,
    "read-only folder": lambda folder: closed_folder(folder, 0o555),
    "missing permission": lambda folder: closed_folder(folder, 0o644),
    "clock": jumping_clock,
}


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
    """A disk of some kilobytes, where this process may mount one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK * 16}", "none", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def torture(name: str, kills: int, chosen: random.Random, faults: bool) -> dict[str, int | list[str]]:
    """Kills a writer so often, and puts it through the faults; counts, and all that was wrong."""
    wrong: list[str] = []
    counts: dict[str, int | list[str]] = {"kills": kills}
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        folder = Path(place, "here")
        folder.mkdir()
        one = Tortured(WRITERS[name], folder)
        if one.once(0) != WRITTEN:
            return {"kills": 0, "wrong": ["it does not write at all"]}
        start = time.monotonic()
        one.once(1)
        duration = min(LONGEST, time.monotonic() - start)
        for _ in range(kills):
            wrong += [f"killed: {what}" for what in one.killed(chosen, duration)]
        if faults:
            wrong += _faults(one, Path(place), max(1.0, 4 * duration))
            counts["faults"] = len(FAULTS) + 2
    return {**counts, "wrong": wrong}


def _faults(one: Tortured, place: Path, seconds: float) -> list[str]:
    wrong = [f"two at once: {what}" for what in one.two_at_once(seconds)]
    for name, fault in FAULTS.items():
        with fault(one.folder) as before:
            wrong += [f"{name}: {what}" for what in one.refused(before)]
        wrong += [f"after {name}: {what}" for what in one._checked(one.writer.found(one.folder))]
    with small_disk(place / "disk") as disk:
        if disk is None:
            print("no small disk can be mounted here: the full disk was left out")
            return wrong
        (disk / "here").mkdir()
        there = Tortured(one.writer, disk / "here")
        there.once(0)
        with full_disk(there.folder) as before:
            wrong += [f"full disk: {what}" for what in there.refused(before)]
        return wrong + [f"after full disk: {what}" for what in there._checked(0)]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("writers", nargs="*", metavar="WRITER", help=f"some of {', '.join(WRITERS)} (default: all)")
    parser.add_argument("--kills", type=int, default=20, help="of each writer (20)")
    parser.add_argument("--no-faults", action="store_true", help="only kills")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31), help="of the instants (a random one)")
    parser.add_argument("--state", type=Path, default=Path(".torture/state.json"), help="file that sums what was run")
    args = parser.parse_args(argv)
    if unknown := set(args.writers) - set(WRITERS):
        parser.error(f"no such writer: {', '.join(sorted(unknown))}; expected some of {', '.join(WRITERS)}")
    print(f"seed {args.seed}")
    chosen, wrong = random.Random(args.seed), 0
    args.state.parent.mkdir(parents=True, exist_ok=True)
    for name in args.writers or WRITERS:
        run = torture(name, args.kills, chosen, not args.no_faults)
        told = json.loads(args.state.read_text()) if args.state.exists() else {}
        sums = told.setdefault(name, {})
        for what, count in run.items():
            sums[what] = sums.get(what, [] if isinstance(count, list) else 0) + count
        args.state.write_text(json.dumps(told, indent=1))
        faults = run["wrong"]
        wrong += len(faults) if isinstance(faults, list) else 0
        print(f"{name:16} {run['kills']} kills, {run.get('faults', 0)} faults; {sums['kills']} kills in all")
        for what in faults if isinstance(faults, list) else ():
            print(f"    WRONG {what}")
        sys.stdout.flush()
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
