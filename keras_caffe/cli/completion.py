"""Prints a script that completes commands and options in your shell.

bash: `keras-caffe completion bash > ~/.local/share/bash-completion/completions/keras-caffe`;
zsh: `keras-caffe completion zsh > DIR/_keras-caffe`, where DIR is in $fpath;
fish: `keras-caffe completion fish > ~/.config/fish/completions/keras-caffe.fish`.
"""

from __future__ import annotations

import argparse
from typing import Any

from keras_caffe.errors import CaffeError

COMPUTES_NOTHING = True
SHELLS = ("bash", "zsh", "fish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, help="your shell")


def run(args: argparse.Namespace) -> None:
    try:
        import shtab
    except ImportError:
        raise CaffeError(
            "shtab is needed to write completions", fix="Install it with `pip install 'keras-caffe[completion]'`."
        ) from None
    from keras_caffe.cli import COMMANDS

    parser = argparse.ArgumentParser(prog="keras-caffe", description="Caffe networks as Keras models.")
    add_commands(parser, COMMANDS)
    complete_files(parser, shtab.FILE)
    print(shtab.complete(parser, args.shell))


def add_commands(parser: argparse.ArgumentParser, commands: Any) -> None:
    """Gives the parser the commands and, below groups, theirs."""
    below = parser.add_subparsers(dest="command")
    for name in commands:
        own = below.add_parser(name, help=commands.title(name).replace("`", ""))
        command = commands[name]
        if hasattr(command, "COMMANDS"):
            add_commands(own, command.COMMANDS)
        elif hasattr(command, "add_arguments"):
            command.add_arguments(own)


def complete_files(parser: argparse.ArgumentParser, files: Any) -> None:
    """Lets every argument that is free text complete as a file."""
    for action in parser._actions:  # argparse has no public list of them
        if action.choices is not None:
            below = action.choices.values() if isinstance(action.choices, dict) else ()
            commands = [each for each in below if isinstance(each, argparse.ArgumentParser)]
            for own in commands:
                complete_files(own, files)
            if not commands:
                action.choices = list(action.choices)  # shtab takes a dict for commands
        elif action.nargs != 0 and action.type not in (int, float):
            action.complete = files  # type: ignore[attr-defined]
