"""The tutorials of docs/tutorials run, find what they say, and their pages are current."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from keras_caffe import registry
from keras_caffe.proto import schema
from tests.shared_goldens import ROOT

pytest.importorskip("jupytext", reason="needs the extra docs")
pytest.importorskip("matplotlib")
pytest.importorskip("PIL")

from scripts import generate_tutorials as tutorials  # noqa: E402

ACCURACY = {  # at least; chance is 0.1, in fine_tune 0.33
    "first_look": 0.961,
    "fine_tune": 0.85,
    "train_lenet": 0.8,
    "read_lmdb": 0.6,
    "serve": 1.0,
    "detector": 0.7,
    "own_layer": 0.95,
}


@pytest.fixture
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty folder; what a tutorial declares and registers is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_classes", dict(registry._classes))
    before = schema.file_descriptor()
    yield
    schema.replace(before)


@pytest.mark.usefixtures("apart")
@pytest.mark.parametrize("name", tutorials.NAMES)
def test_a_tutorial_runs_and_its_page_is_current(name: str) -> None:
    tutorial = tutorials.cells(name)
    assert tutorials.run(tutorial)["accuracy"] >= ACCURACY[name]
    written = (tutorials.FOLDER / f"{name}.md").read_text(encoding="utf-8")
    made = tutorials.page(name, tutorial)
    assert tutorials.without_results(written) == tutorials.without_results(made), "run scripts/generate_tutorials.py"
    pictures = re.findall(r"^!\[.*\]\((.*)\)$", written, re.MULTILINE)
    assert pictures and all((tutorials.FOLDER / picture).is_file() for picture in pictures)


def test_every_tutorial_is_run_and_in_the_navigation() -> None:
    assert {path.stem for path in tutorials.FOLDER.glob("*.py")} == set(tutorials.NAMES)
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert tuple(re.findall(r": tutorials/(\w+)\.md$", nav, re.MULTILINE)) == tutorials.NAMES


def test_only_numbers_of_results_may_differ() -> None:
    page = "```python\nf(0.5)\n```\n\n```text\n0.961 right\n```\n\n![loss 3](pictures/a-1.png)"
    expected = "```python\nf(0.5)\n```\n\n```text\n# right\n```\n\n![loss#](pictures/a-1.png)"
    assert tutorials.without_results(page) == expected
