"""Caffe's log, in glog's format and on standard error: `I1126 08:00:00.000000  1234 solver.cpp:239] Iteration 0, ...`.

The source file and line in it are those where Caffe logs such a line, as tools look for `solver.cpp`.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from absl import logging as absl_logging

INFO, WARNING, ERROR, FATAL = logging.INFO, logging.WARNING, logging.ERROR, logging.FATAL
LEVELS = (INFO, WARNING, ERROR, FATAL)  # as --minloglevel numbers them
SOLVER_LINES = {  # what a line of a solver has in it -> where Caffe logs it; the first that fits
    "Snapshotting solver state": "sgd_solver.cpp:284",
    "Snapshotting": "solver.cpp:464",
    ", lr = ": "sgd_solver.cpp:112",
    "Testing net": "solver.cpp:347",
    "Test interrupted": "solver.cpp:396",
    "Test loss": "solver.cpp:401",
    "Test net output": "solver.cpp:414",
    "Train net output": "solver.cpp:258",
    "Iteration": "solver.cpp:239",
}
_logger = logging.Logger("keras_caffe.glog")


def log(text: str, place: str, level: int = INFO) -> None:
    """Logs a message.

    Args:
        text: the message; only its first line has a prefix.
        place: "file:line".
        level: INFO, WARNING, ERROR or FATAL.
    """
    file, _, line = place.partition(":")
    fatal = {"_absl_log_fatal": True} if level == FATAL else None  # or absl writes E
    _logger.handle(_logger.makeRecord(_logger.name, level, file, int(line), text, (), None, extra=fatal))


def log_solver(line: str) -> None:
    """Logs a line of a solver."""
    log(line, next(place for part, place in SOLVER_LINES.items() if part in line))


@contextmanager
def logging_to(folder: str, program: str, lowest: int = 0) -> Iterator[None]:
    """Lets the log appear on standard error and, if a folder is named, in a file there that `<program>.INFO` leads to.

    Args:
        folder: of log files, or "".
        program: its name.
        lowest: number of the lowest level that is logged: 0 INFO, 1 WARNING, 2 ERROR, 3 FATAL.
    """
    handlers = [logging.StreamHandler(sys.stderr)]
    with ExitStack() as stack:
        try:
            handlers += [logging.StreamHandler(stack.enter_context(_log_file(folder, program)))] if folder else []
        except OSError as error:  # glog goes on without
            print(f"COULD NOT CREATE A LOGGINGFILE in {folder}: {error}", file=sys.stderr)
        for handler in handlers:
            handler.setFormatter(absl_logging.PythonFormatter())
            handler.setLevel(LEVELS[min(max(lowest, 0), len(LEVELS) - 1)])
            _logger.addHandler(handler)
            stack.callback(_logger.removeHandler, handler)
        yield


def _log_file(folder: str, program: str) -> TextIO:
    directory, name, link = absl_logging.find_log_dir_and_names(program, folder)
    path = Path(directory) / f"{name}.INFO.{time.strftime('%Y%m%d-%H%M%S')}.{os.getpid()}"
    shortcut = Path(directory) / f"{link}.INFO"
    file = path.open("w", encoding="utf-8")
    shortcut.unlink(missing_ok=True)
    shortcut.symlink_to(path.name)
    return file
