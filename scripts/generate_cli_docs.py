#!/usr/bin/env python3
"""Writes docs/reference/cli.md from the commands' own parsers; `--check` only says if it is stale."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from keras_caffe.cli import COMMANDS  # noqa: E402
from scripts import generated_page  # noqa: E402

PAGE = ROOT / "docs" / "reference" / "cli.md"
INTRODUCTION = """\
# Commands

<!-- Written by scripts/generate_cli_docs.py; run it after a change. -->

What `keras-caffe COMMAND --help` prints, for all commands. [The guide](../cli.md) says what they are for and what their
results mean. Every command also takes `--debug`, which shows where an error comes from, and `--help`.
"""


def page() -> str:
    return "\n".join([INTRODUCTION, *_commands("keras-caffe", COMMANDS)])


def _commands(program: str, commands: Mapping[str, Any]) -> Iterator[str]:
    for name, command in commands.items():
        if hasattr(command, "COMMANDS"):
            yield from _commands(f"{program} {name}", command.COMMANDS)
        else:
            yield f"## {program.removeprefix('keras-caffe')} {name}".replace("  ", " ") + "\n"
            yield from section(f"{program} {name}", command)


def section(program: str, command: Any) -> Iterator[str]:
    """What there is to say about one command."""
    parser = argparse.ArgumentParser(prog=program, add_help=False)
    if hasattr(command, "add_arguments"):
        command.add_arguments(parser)
    groups = [(group.title, group._group_actions) for group in parser._action_groups]  # argparse has no public list
    positional = [_place(action) for action in parser._actions if not action.option_strings]
    has_options = any(action.option_strings for action in parser._actions)
    yield f"    {' '.join([program, *['[options]'] * has_options, *positional])}\n"
    yield f"{command.__doc__.strip()}\n"
    for title, actions in groups:
        if actions:
            yield f"| {title if title not in ('positional arguments', 'options') else title.split()[-1]} | |"
            yield "|---|---|"
            yield from (f"| `{_spelled(action)}` | {_cell(action)} |" for action in actions)
            yield ""


def _place(action: argparse.Action) -> str:
    """A positional argument as a usage line has it."""
    name = _value(action)
    return {"*": f"[{name} ...]", "?": f"[{name}]", "+": f"{name} ..."}.get(str(action.nargs), name)


def _spelled(action: argparse.Action) -> str:
    """An argument with its value, as it is typed."""
    if not action.option_strings:
        return _value(action)
    flags = ", ".join(action.option_strings)
    return (flags if action.nargs == 0 else f"{flags} {_value(action)}").replace("|", "\\|")


def _value(action: argparse.Action) -> str:
    if action.choices is not None and action.metavar is None:
        return "|".join(map(str, action.choices))
    value = action.metavar or action.dest.upper()
    return value if isinstance(value, str) else " ".join(value)


def _cell(action: argparse.Action) -> str:
    text = str(action.help or "").replace("%%", "%").replace("|", "\\|").replace("<", "\\<")
    return f"{text} (required)" if action.required and action.option_strings else text


if __name__ == "__main__":
    sys.exit(generated_page.write(PAGE, page(), __doc__))
