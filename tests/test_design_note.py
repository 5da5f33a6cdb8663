"""docs/design.md names files, functions and classes that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.shared_goldens import ROOT

NOTE = (ROOT / "docs" / "design.md").read_text()
FILES = [path for folder in ("keras_caffe", "converters", "scripts", "tests") for path in (ROOT / folder).rglob("*.py")]
FILES.append(ROOT / "setup.py")
SOURCES = [path.read_text() for path in FILES]


def texts(name: str) -> list[str]:
    """The source of the files that a name in the note may mean."""
    return [
        text
        for path, text in zip(FILES, SOURCES, strict=True)
        if path.parts[-len(Path(name).parts) :] == Path(name).parts
    ]


@pytest.mark.parametrize(("file", "name"), sorted(set(re.findall(r"`([\w/]+\.py)(?:::([\w.]+))?`", NOTE))))
def test_files_and_functions(file: str, name: str) -> None:
    assert texts(file), f"docs/design.md names {file}"
    for part in filter(None, name.split(".")):
        assert any(re.search(rf"^\s*(def|class) {part}\b", text, re.M) for text in texts(file)), f"{file}::{name}"


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"`([A-Z][a-z]+[A-Z]\w+|Net|Plan|Blob|Slot|Recipe|Tensors)\b", NOTE)))
)
def test_classes(name: str) -> None:
    assert any(re.search(rf"^(class {name}\b|{name} = )", text, re.M) for text in SOURCES)
