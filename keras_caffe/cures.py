"""What a message says the reader can do: an argument or a flag to pass, a call, or the name that was meant."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypedDict

SHOWN = 20  # known names in a message at most


class Flag(NamedTuple):
    """A command's flag, such as `--blob NAME`, as cures show it."""

    name: str
    metavar: str | None = None


Flags = Mapping[str, Flag]
"""{argument or method in Python: the flag of a command that stands for it}"""


@dataclass(frozen=True)
class Option:
    """A cure: an argument to pass.

    Args:
        name: the argument of the Python API.
        value: what to pass; `...` if only the reader knows; None if it must be left out.
        purpose: what it is good for, as the end of the sentence: "to leave the layer as filled".
    """

    name: str
    value: object = ...
    purpose: str = ""

    def text(self, flags: Flags | None = None) -> str:
        """The sentence for Python or, given the flags of a command, for the shell."""
        flag = None if flags is None else flags.get(self.name)
        verb = "leave out" if self.value is None else "pass"
        if flag is not None:
            return _sentence(verb, _as_flag(flag, self.value), self.purpose)
        python = self.name if self.value is None else f"{self.name}={_python(self.value)}"
        return _sentence(verb if flags is None else f"in Python, {verb}", python, self.purpose)


@dataclass(frozen=True)
class Call:
    """A cure: a function or method to call.

    Args:
        name: what to call, such as "solver.restore"; its last part is what a flag may stand for.
        arguments: what to pass, as Python writes it.
        purpose: what it is good for, as the end of the sentence.
    """

    name: str
    arguments: str = ""
    purpose: str = ""

    def text(self, flags: Flags | None = None) -> str:
        """The sentence for Python or, given the flags of a command, for the shell."""
        flag = None if flags is None else flags.get(self.name.rpartition(".")[2])
        if flag is not None:
            return _sentence("pass", _as_flag(flag, ...), self.purpose)
        return _sentence("call" if flags is None else "in Python, call", f"{self.name}({self.arguments})", self.purpose)


Cure = str | Option | Call
"""One sentence of advice. A str is as true in Python as in a shell."""


class Instead(TypedDict, total=False):
    """What an error about an unknown name says of the known ones."""

    expected: str
    fix: str


def instead(names: Iterable[object], known: Iterable[str]) -> Instead:
    """The known names that are most like the unknown `names`; the known ones themselves if none is like them.

    Goes into the error: `SolverError(f"unknown type {name!r}", **instead([name], METHODS))`.
    """
    known = list(known)
    near = dict.fromkeys(match for name in names for match in nearest(str(name), known))
    if near:
        return {"fix": f"Did you mean {' or '.join(map(repr, near))}?"}
    more = f", ... ({len(known)} in all)" if len(known) > SHOWN else ""
    return {"expected": f"one of {', '.join(known[:SHOWN])}{more}"} if known else {}


def nearest(name: str, known: Iterable[str], most: int = 2, cutoff: float = 0.6) -> list[str]:
    """The known names that are most like `name`; only those that differ in upper and lower case, if there are any."""
    by_lower: dict[str, list[str]] = {}
    for candidate in known:
        by_lower.setdefault(candidate.lower(), []).append(candidate)
    lower = name.lower()
    near = [lower] if lower in by_lower else difflib.get_close_matches(lower, by_lower, most, cutoff)
    return [candidate for match in near for candidate in by_lower[match]]


def _sentence(*words: str) -> str:
    text = " ".join(filter(None, words))
    return f"{text[0].upper()}{text[1:]}."


def _as_flag(flag: Flag, value: object) -> str:
    """The flag with its value; of a list or mapping one flag for each entry, `--input-shape data=1,3,224,224`."""
    if value is True or value is None:
        return flag.name
    if isinstance(value, Mapping):
        given = [f"{key}={','.join(map(str, entry))}" for key, entry in value.items()]
        return " ".join(f"{flag.name} {shlex.quote(text)}" for text in given)
    if isinstance(value, list):
        return " ".join(f"{flag.name} {shlex.quote(str(entry))}" for entry in value)
    return f"{flag.name} {flag.metavar if value is ... else shlex.quote(str(value))}"


def _python(value: object) -> str:
    """The value as Python writes it; letters in a shape stand for numbers that only the reader knows."""
    if value is ...:
        return "..."
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key!r}: {_python(entry)}' for key, entry in value.items())}}}"
    if isinstance(value, tuple):
        return f"({', '.join(map(str, value))}{',' if len(value) == 1 else ''})"
    return repr(value)
