"""The command line, `keras-caffe COMMAND ...`. A command is one module here: docstring, `add_arguments` and `run`.

A module with `COMMANDS` instead is a group of commands: `keras-caffe GROUP COMMAND ...`. One with `TAKES_ARGUMENTS`
gets its arguments unparsed, as `args.arguments`, and prepares for Keras itself. One with `check_usage` looks at them
before Keras is imported, for which `--help` and a wrong usage shall not wait: `run` imports what it needs. One with
`COMPUTES_NOTHING` needs no TensorFlow; one of which that depends has a function `computes_nothing(args)`.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from keras_caffe import requirements
from keras_caffe.cli.lazy import Commands
from keras_caffe.errors import CaffeError, CaffeWarning, Flag, Flags, Message
from keras_caffe.version import __version__

NAMES = (
    "convert",
    "summary",
    "check",
    "draw",
    "view",
    "predict",
    "upgrade",
    "export",
    "compare",
    "code",
    "time",
    "train",
    "test",
    "log",
    "evaluate",
    "extract",
    "dataset",
    "caffe",
    "version",
    "selftest",
    "explain",
    "completion",
)
COMMANDS = Commands({name: name for name in NAMES})


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        argv: the command and its arguments; default: the process's.

    Returns:
        The exit code: 0, 1 after an `error: ...` line, or what the command says. A wrong usage exits with 2 by itself.
    """
    args = _parse(argv)
    with _warnings_as_lines(args.flags):
        try:
            args.check_usage(args)
            args.prepare(args)
            if getattr(args, "allow_python_imports", False):
                _offer_caffe()
            code = args.run(args)
            sys.stdout.flush()
            if hasattr(args, "note"):
                _say("note", args.note, args.flags)
        except BrokenPipeError:  # whoever reads the output has seen enough, as `head` has
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except (CaffeError, OSError) as error:
            if args.debug:
                traceback.print_exc()
            else:
                _say("error", error, args.flags)
            return 1
        except KeyboardInterrupt:
            return 130
    return code or 0


def _offer_caffe() -> None:
    """Lets modules with Python layers, which begin with `import caffe`, have this package; a real Caffe stays."""
    from keras_caffe.pycaffe import install

    with suppress(CaffeError):
        install()


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _group("keras-caffe", "Caffe networks as Keras models.", COMMANDS)
    parser.add_argument("--version", action="version", version=f"keras-caffe {__version__}")
    chosen = parser.parse_args(argv)
    name, command = chosen.command, COMMANDS[chosen.command]
    if hasattr(command, "TAKES_ARGUMENTS"):
        if chosen.arguments in (["--help"], ["-h"]):
            print(str(command.__doc__).strip())
            raise SystemExit(0)
        as_they_are = {"arguments": chosen.arguments, "run": command.run, "check_usage": lambda args: None}
        return argparse.Namespace(**as_they_are, flags={}, debug=False, prepare=lambda args: None)
    if hasattr(command, "COMMANDS"):  # a group of commands
        chosen = _group(f"keras-caffe {name}", command.__doc__, command.COMMANDS).parse_args(chosen.arguments)
        name, command = f"{name} {chosen.command}", command.COMMANDS[chosen.command]
    return _parser(name, command).parse_intermixed_args(chosen.arguments)


def _group(prog: str, about: str | None, commands: Commands) -> argparse.ArgumentParser:
    """The parser that finds one of several commands."""
    listing = "\n".join(f"  {name:<10} {commands.title(name)}" for name in commands)
    parser = argparse.ArgumentParser(
        prog=prog,
        usage=f"{prog} COMMAND ...",
        description=about,
        epilog=f"commands:\n{listing}\n\n{prog} COMMAND --help describes one.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", metavar="COMMAND", choices=commands, help="one of the commands below")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS).required = False
    return parser


def _parser(name: str, command: Any) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"keras-caffe {name}",
        description=command.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_arguments(parser)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(run=command.run, wrong_usage=parser.error, flags=flags_of(parser), prepare=_prepare(command))
    parser.set_defaults(check_usage=getattr(command, "check_usage", lambda args: None))
    return parser


def _prepare(command: Any) -> Callable[[argparse.Namespace], None]:
    """What goes before a command's run: imports, as far as it computes anything."""
    computes_nothing = getattr(command, "computes_nothing", lambda args: hasattr(command, "COMPUTES_NOTHING"))

    def prepare(args: argparse.Namespace) -> None:
        if computes_nothing(args):
            requirements.without_backend()
        else:
            requirements.prepare()

    return prepare


def flags_of(parser: argparse.ArgumentParser) -> Flags:
    """The command's flags by what they stand for in Python, which is their `dest`."""
    actions = [action for action in parser._actions if action.option_strings]  # argparse has no public list of them
    return {action.dest: Flag(action.option_strings[-1], _metavar(action)) for action in actions}


def _metavar(action: argparse.Action) -> str:
    metavar = action.metavar or action.dest.upper()
    return metavar if isinstance(metavar, str) else " ".join(metavar)


@contextmanager
def _warnings_as_lines(flags: Flags) -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("always", CaffeWarning)
        usual = warnings.showwarning

        def show(message: Any, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, CaffeWarning):
                _say("warning", message, flags)
            else:
                usual(message, category, *place, **more)

        warnings.showwarning = show
        yield


def _say(kind: str, message: object, flags: Flags) -> None:
    text = message.text(flags) if isinstance(message, Message) else str(message)
    print(f"{kind}: {' '.join(line.strip() for line in text.splitlines())}", file=sys.stderr)
