"""The package's modules as source, for the tests that read it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from tests.shared_goldens import ROOT

PACKAGE = "keras_caffe"


@cache
def sources() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in [*(ROOT / PACKAGE).rglob("*.py"), *(ROOT / "converters").rglob("*.py")]:
        relative = path.relative_to(ROOT).with_suffix("")
        parts = relative.parts if relative.parts[0] == PACKAGE else (PACKAGE, *relative.parts)
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


@cache
def parse(module: str) -> ast.Module:
    return ast.parse(sources()[module].read_text())
