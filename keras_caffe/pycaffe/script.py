"""Runs a script or notebook that imports caffe, unchanged, with this package in caffe's place."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

from keras_caffe.errors import CaffeError, unreadable
from keras_caffe.pycaffe import settings
from keras_caffe.pycaffe.install import install
from keras_caffe.pycaffe.script_classes import ScriptClasses

PYTHON_2 = re.compile(  # how Python 3 calls what Python 2 takes
    r"Missing parentheses in call|multiple exception types must|leading zeros in decimal|.*parameters cannot be paren"
)
PYTHON_2_LINE = re.compile(  # what it has no words for
    r"\s*except\b.*,\s*\w+\s*:|.*(\braise\s+[\w.]+\s*,|<>|`|\b(\d+|0x[\da-f]+)L\b|\bur['\"]|\blambda\s*\()",
    re.IGNORECASE,
)
QUOTED = re.compile(r"""(["'])(?:\\.|(?!\1).)*(?:\1|$)|#.*""")  # a string, whole or not, or a comment


def check(script: str) -> None:
    """Refuses a script that cannot be run.

    Raises:
        CaffeError: there is none, or it is written for Python 2. SyntaxError: it is no Python at all.
    """
    try:
        source = Path(script).read_bytes()
    except OSError as error:
        raise unreadable(script, error) from None
    check_source(source, script)


def check_source(source: str | bytes, script: str) -> None:
    """Refuses the text of a script as `check` does."""
    try:
        compile(source, script, "exec", dont_inherit=True)
    except SyntaxError as error:
        where, text = f"{script}:{error.lineno}", (error.text or "").strip()
        if not PYTHON_2.match(error.msg or "") and not PYTHON_2_LINE.match(QUOTED.sub(r"\1\1", text)):
            raise
        fix = f"Convert it first: 2to3 --write {script}"
        raise CaffeError("the script is written for Python 2", where=where, received=text, fix=fix) from None


def run(script: str, arguments: list[str]) -> None:
    """Runs a script as `python script arguments` would, with `caffe` installed. What it raises comes as it is."""
    prepare(script, arguments, Path(script).resolve().parent)
    runpy.run_path(script, run_name="__main__")


def run_module(name: str, arguments: list[str]) -> None:
    """Runs a module as `python -m name arguments` would, with `caffe` installed."""
    prepare(name, arguments, Path.cwd())
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def prepare(name: str, arguments: list[str], folder: str | Path) -> None:
    """Installs `caffe` for a script of this name in this folder, from where its nets' Python layers may come."""
    install(force=True)
    settings.use_python_layers(ScriptClasses())
    sys.argv = [name, *arguments]
    sys.path.insert(0, str(folder))
