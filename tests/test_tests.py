"""The rules of the tests, read from their source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
FILES = sorted(TESTS.rglob("*.py"))

# Exceptions that say nothing; the tests look at what they leave behind.
SILENT = {"KeyboardInterrupt", "Killed", "dataclasses.FrozenInstanceError"}


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef))


def refusals(function: ast.FunctionDef) -> Iterator[tuple[ast.Call, str]]:
    """Every `pytest.raises` in a `with` of a function, and the name that it is bound to."""
    for statement in ast.walk(function):
        for item in statement.items if isinstance(statement, ast.With) else ():
            if isinstance(item.context_expr, ast.Call) and ast.unparse(item.context_expr.func) == "pytest.raises":
                yield item.context_expr, ast.unparse(item.optional_vars) if item.optional_vars else ""


def looks_at_the_text(function: ast.FunctionDef, call: ast.Call, name: str) -> bool:
    """Whether the error is matched, or what it says is used afterwards."""
    matched = any(keyword.arg == "match" for keyword in call.keywords)
    return matched or ast.unparse(call.args[0]) in SILENT or bool(name) and f"{name}.value" in ast.unparse(function)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TESTS)))
def test_refusals_match_their_text(path: Path) -> None:
    """Any error of a class would pass otherwise, one about something else too."""
    calls = [
        (call, looks_at_the_text(function, call, name))
        for function in functions(path)
        for call, name in refusals(function)
    ]
    blind = [f"{path}:{call.lineno}: {ast.unparse(call)} needs match=" for call, looks in calls if not looks]
    assert not blind, "\n".join(blind)
