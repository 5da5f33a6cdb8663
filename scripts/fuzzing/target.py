"""What a target is, and what an input may do: end, or raise a CaffeError, in a second of processor time."""

from __future__ import annotations

import contextlib
import functools
import importlib
import pkgutil
import signal
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any, NoReturn

from keras_caffe.errors import CaffeError

SECONDS = 1.0  # of processor time that an input may take
MEMORY = 512 << 20  # bytes that a reader may take beside four times its file


@dataclass(frozen=True)
class Target:
    """A reader and its inputs.

    Args:
        run: reads an input; raises CaffeErrors only.
        seeds: gives whole inputs to begin with.
        mutate: changes an input and keeps its structure.
        longest: bytes of an input at most.
    """

    run: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    mutate: Callable[[Random, bytes], bytes]
    longest: int = 1 << 14

    def first_inputs(self) -> list[bytes]:
        """The seeds that are not too long; one was read, so that what is imported on first use is there."""
        found = [seed for seed in self.seeds() if len(seed) <= self.longest]
        with contextlib.suppress(CaffeError):
            self.run(found[0])
        return found


class TooSlow(BaseException):
    """An input took longer than it may; no `except Exception` on the way holds it up."""


@dataclass(frozen=True)
class Finding:
    """What came out of a target and should not have."""

    error: BaseException

    @property
    def place(self) -> str:
        """Which fault it is: the error's type and the line it came from."""
        frames = traceback.extract_tb(self.error.__traceback__)
        ours = [frame for frame in frames if "keras_caffe" in Path(frame.filename).parts] or frames
        return f"{type(self.error).__name__} at {Path(ours[-1].filename).name}:{ours[-1].lineno}"

    def __str__(self) -> str:
        return "".join(traceback.format_exception(self.error))


def attempt(target: Target, data: bytes) -> Finding | None:
    """Gives an input to a target."""
    signal.signal(signal.SIGPROF, _too_slow)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        target.run(data)
    except CaffeError:
        return None
    except (Exception, TooSlow) as error:
        return Finding(error)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, signal.SIG_IGN)  # one may still be on its way
    return None


def _too_slow(signum: int, frame: FrameType | None) -> NoReturn:
    raise TooSlow


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(prefix="fuzz-", dir=memory if memory.is_dir() else None)


def file_of(data: bytes, name: str) -> Path:
    """A file with this content, in memory where the system can; the next one of this name replaces it."""
    file = Path(_folder().name) / name
    file.write_bytes(data)
    return file


def targets() -> dict[str, Target]:
    """All targets by name: the `TARGETS` of the modules in `targets/`."""
    from scripts.fuzzing import targets as package

    warnings.simplefilter("ignore")
    found: dict[str, Any] = {}
    for module in sorted(module.name for module in pkgutil.iter_modules(package.__path__)):
        found |= importlib.import_module(f"{package.__name__}.{module}").TARGETS
    return found
