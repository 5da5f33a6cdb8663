"""Which tests scripts/check.sh runs for a changed file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scripts import changed_tests
from scripts.changed_tests import arguments, changed


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tests/proto/test_wire.py", ["tests/proto/test_wire.py"]),
        ("keras_caffe/fillers.py", ["tests/test_fillers.py"]),
        ("converters/fold.py", ["tests/converters/test_fold.py"]),
        ("keras_caffe/layers/bn.py", ["tests/layers/test_bn.py", "tests/layers/test_goldens.py"]),
        ("docs/design.md", []),
        ("keras_caffe/gone.py", []),
    ],
)
def test_a_file_has_the_tests_of_its_name(name: str, expected: list[str]) -> None:
    files = [argument for argument in arguments([name]) if argument.endswith(".py")]
    assert files == ["tests/test_architecture.py", *expected]


def test_of_the_goldens_only_those_of_the_changed_layers_run() -> None:
    options = ["-k", "not test_matches_caffe or LRN or Pooling"]
    assert arguments(["keras_caffe/layers/lrn.py", "keras_caffe/layers/pooling.py"])[-2:] == options


@pytest.mark.parametrize("name", ["keras_caffe/data/sources/data.py", "tests/data/records.py"])
def test_a_file_without_tests_of_its_name_has_those_of_its_room(name: str) -> None:
    room = sorted(f"tests/data/{path.name}" for path in Path("tests/data").glob("test_*.py"))
    assert arguments([name]) == ["tests/test_architecture.py", *room]


def test_the_closest_tests_run_first() -> None:
    first = arguments(["keras_caffe/data/draws.py", "keras_caffe/layers/bn.py"])[:3]
    assert first == ["tests/test_architecture.py", "tests/layers/test_bn.py", "tests/layers/test_goldens.py"]


def test_changed_is_what_main_does_not_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=tmp_path, check=True)

    def commit(name: str) -> None:
        (tmp_path / name).touch()
        git("add", name)
        git("commit", "--quiet", "--message", name)

    monkeypatch.setattr(changed_tests, "ROOT", tmp_path)
    git("init", "--quiet", "--initial-branch=main")
    commit("first.py")
    assert changed() == [], "main's first commit has none before it"
    commit("second.py")
    assert changed() == ["second.py"]
    git("switch", "--quiet", "--create", "branch")
    commit("third.py")
    commit("fourth.py")
    (tmp_path / "new.py").touch()
    (tmp_path / "first.py").write_text("1\n")
    assert sorted(changed()) == ["first.py", "fourth.py", "new.py", "third.py"]


def test_tests_that_find_no_time_are_skipped_and_counted(tmp_path: Path) -> None:
    test = tmp_path / "test_two.py"
    test.write_text("def test_one(): pass\ndef test_two(): pass\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-rs",
        "-p",
        "tests.conftest",
        f"--rootdir={tmp_path}",
        "--seconds",
        "0",
        test,
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "SKIPPED [2] " in run.stdout
    assert "no time left after 0 seconds; scripts/test.sh runs it" in run.stdout
