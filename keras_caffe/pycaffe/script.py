"""Runs a script or notebook that imports caffe, unchanged, with this package in caffe's place."""

from __future__ import annotations

import importlib.util
import re
import runpy
import site
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_caffe.errors import CaffeError, unreadable
from keras_caffe.pycaffe import settings
from keras_caffe.pycaffe.install import install

PYTHON_2 = re.compile(  # how Python 3 calls what Python 2 takes
    r"Missing parentheses in call|multiple exception types must|leading zeros in decimal|.*parameters cannot be paren"
)
PYTHON_2_LINE = re.compile(  # what it has no words for
    r"\s*except\b.*,\s*\w+\s*:|.*(\braise\s+[\w.]+\s*,|<>|`|\b(\d+|0x[\da-f]+)L\b|\bur['\"]|\blambda\s*\()",
    re.IGNORECASE,
)
PACKAGES = ("stdlib", "platstdlib", "purelib", "platlib")
QUOTED = re.compile(r"""(["'])(?:\\.|(?!\1).)*(?:\1|$)|#.*""")  # a string, whole or not, or a comment


class ScriptClasses(Mapping[str, type]):
    """{"module.Class": class} of what a script may import beyond what is installed: its own folder, PYTHONPATH, and the
    folders that it puts on sys.path. Whoever runs a script trusts it, and so the classes that its nets name there."""

    def __getitem__(self, name: str) -> type:
        module, _, attribute = name.rpartition(".")
        if not module or not _is_a_scripts(module):
            raise KeyError(name)
        return getattr(importlib.import_module(module), attribute)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _is_a_scripts(name.rpartition(".")[0])

    def __iter__(self) -> Iterator[str]:
        return iter(())  # they are looked up one by one

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return True


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


def _is_a_scripts(module: str) -> bool:
    """Whether a module is the script itself, or is found outside the folders where packages are installed."""
    if module == "__main__":
        return True
    try:
        spec: Any = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return False
    if spec is None or not spec.has_location:
        return False
    file = Path(spec.origin).resolve()
    folders = [*map(sysconfig.get_path, PACKAGES), *site.getsitepackages(), site.getusersitepackages()]
    installed = [Path(__file__).parents[1], *map(Path, folders)]
    return not any(file.is_relative_to(folder.resolve()) for folder in installed)
