"""What gflags prints of a program's flags: --help and its kin, --helpxml and --version (gflags_reporting.cc)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import escape
from typing import Any

from absl import flags

Values = flags.FlagValues
"""The flags of a program: `values.solver` is what --solver was given"""

TYPES: dict[type, str] = {str: "string", int: "int32", bool: "bool"}
WIDTH = 80  # which a line does not reach


def help_text(name: str, usage: str, values: Values, *parts: str) -> str:
    """The usage, and the flags of the files in whose names is one of some parts.

    Args:
        name: the program's.
        usage: what it says of itself.
        values: its flags.
        *parts: of file names; one that begins with / is where a folder's or file's name begins. Default: all files.
    """
    lines, folder = [f"{name}: {usage}"], None
    for file, group in _files(values):
        if parts and not any(_has(file, part) for part in parts):
            continue
        if folder is not None and folder != file.rpartition("/")[0]:
            lines += ["", ""]
        folder = file.rpartition("/")[0]
        lines += ["", f"  Flags from {file}:", *map(_described, group)]
    return "\n".join(lines if folder is not None else [*lines, "", "  No modules matched: use -help"])


def xml_text(name: str, usage: str, values: Values) -> str:
    """All flags as XML."""
    lines = ['<?xml version="1.0"?>', "<AllFlags>", _tag("program", name), _tag("usage", usage)]
    for file, group in _files(values):
        for flag in group:
            tags = {"file": file, "name": flag.name, "meaning": flag.help, "default": _shown(flag.default)}
            tags |= {"current": _shown(flag.value), "type": TYPES[type(flag.default)]}
            lines.append(_tag("flag", "".join(_tag(*pair) for pair in tags.items()), markup=True))
    return "\n".join([*lines, "</AllFlags>"])


def asked_for(name: str, usage: str, values: Values, version: str) -> tuple[str, int] | None:
    """What the flags ask to be told in place of a run, and the exit code: gflags' order decides among several."""
    own = (f"/{name}.", f"/{name}-main.", f"/{name}_main.")

    def text(*parts: str) -> str:
        return help_text(name, usage, values, *parts)

    answers: list[tuple[bool | str, Callable[[], str], int]] = [
        (values.helpshort, lambda: text(*own), 1),
        (values.help or values.helpfull, text, 1),
        (values.helpon, lambda: text(f"/{values.helpon}."), 1),
        (values.helpmatch, lambda: text(values.helpmatch), 1),
        (values.helppackage, lambda: text(*_packages(values, own)), 1),
        (values.helpxml, lambda: xml_text(name, usage, values), 1),
        (values.version, lambda: f"{name} version {version}" if version else name, 0),
    ]
    return next(((answer(), code) for asked, answer, code in answers if asked), None)


def _files(values: Values) -> Iterator[tuple[str, list[Any]]]:
    for file, group in sorted(values.flags_by_module_dict().items()):
        yield file, sorted(group, key=lambda flag: flag.name)


def _packages(values: Values, own: tuple[str, ...]) -> set[str]:
    """The folders of the program's own files."""
    return {file.rpartition("/")[0] + "/" for file, _ in _files(values) if any(_has(file, part) for part in own)}


def _has(file: str, part: str) -> bool:
    return part in file or (part.startswith("/") and file.startswith(part[1:]))


def _described(flag: Any) -> str:
    """One flag, in lines of less than 80 characters."""
    kind = TYPES[type(flag.default)]
    parts = [f"type: {kind}", f"default: {_quoted(flag.default)}"]
    if flag.value != flag.default:
        parts.append(f"currently: {_quoted(flag.value)}")
    lines = _wrapped(f"    -{flag.name} ({flag.help})")
    for part in parts:
        if len(lines[-1]) + 1 + len(part) >= WIDTH:
            lines.append("      " + part)
        else:
            lines[-1] += " " + part
    return "\n".join(lines)


def _wrapped(text: str) -> list[str]:
    lines = [""]
    for word in re.findall(r"\s*\S+", text):
        if len(lines[-1]) + len(word) < WIDTH:
            lines[-1] += word
        else:
            lines.append("      " + word.lstrip())
    return lines


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _quoted(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else _shown(value)


def _tag(name: str, text: str, markup: bool = False) -> str:
    return f"<{name}>{text if markup else escape(text, quote=False)}</{name}>"
