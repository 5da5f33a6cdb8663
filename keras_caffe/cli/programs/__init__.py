"""Caffe's programs: `declared.py` has the usage and the flags of each, the module that it names the program itself.

What is bad ends them as it ends Caffe's: the reason is the log's last line, after `F`, and the exit code is 134, which
a shell shows for a process that aborts.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from keras_caffe import requirements
from keras_caffe.cli.programs.declared import PROGRAMS
from keras_caffe.cli.programs.flags import ALLOW, NoRun
from keras_caffe.cli.programs.glog import FATAL, WARNING, log, logging_to
from keras_caffe.errors import CaffeError, CaffeWarning, Message

ABORTED = 134
INTERRUPTED = 130


def console() -> int:
    """The program that has the name by which it was called."""
    return main([requirements.CALLED_AS, *sys.argv[1:]])


def main(arguments: Sequence[str]) -> int:
    """Runs a program.

    Args:
        arguments: the program's name, which may be left out for `caffe`, and what follows it.

    Returns:
        Its exit code.
    """
    name, *rest = arguments if arguments and arguments[0] in PROGRAMS else ["caffe", *arguments]
    program = PROGRAMS[name]
    try:
        values, positional = program.parse(rest)
    except NoRun as end:
        print(end, file=sys.stderr if end.wrong else sys.stdout)
        return end.code
    requirements.prepare()
    with logging_to(values.log_dir, name, values.minloglevel), warnings.catch_warnings():
        warnings.simplefilter("always", CaffeWarning)
        warnings.showwarning = _log_warning
        try:
            program.tell_ignored(values)
            return program.run(values, positional)
        except (CaffeError, OSError) as error:
            log(_text(error), f"{name}.cpp:1", FATAL)
            return ABORTED
        except KeyboardInterrupt:
            return INTERRUPTED


def _log_warning(message: object, category: object, filename: str, lineno: int, *place: object, **more: object) -> None:
    log(_text(message), f"{Path(filename).name}:{lineno}", WARNING)


def _text(message: object) -> str:
    text = message.text(ALLOW) if isinstance(message, Message) else str(message)
    return " ".join(line.strip() for line in text.splitlines())
