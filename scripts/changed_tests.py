"""Prints the arguments with which pytest runs the tests of what changed, one a line; scripts/check.sh uses them.

What changed: the commits that main does not have (on main itself, its last commit) and what is not committed yet.
The tests of a test file are the file; those of ROOM/NAME.py are tests/ROOM/test_NAME.py and, if it registers layers,
the goldens of their types. A file that has neither, a helper of the tests too, has the tests of its room.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ALWAYS = Path("tests/test_architecture.py")
GOLDENS, GOLDEN_TEST = Path("tests/layers/test_goldens.py"), "test_matches_caffe"


def git(*arguments: str) -> list[str]:
    """The lines that git prints; none if it fails."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if not done.returncode else []


def changed() -> list[str]:
    """The files that changed, as paths from the top."""
    head = git("rev-parse", "HEAD")
    shared = git("merge-base", "HEAD", "main") or git("merge-base", "HEAD", "origin/main")
    base = shared if shared != head else git("rev-parse", "--quiet", "--verify", "HEAD~1")
    return git("diff", "--name-only", *(base or head)) + git("ls-files", "--others", "--exclude-standard")


def room(path: Path) -> Path:
    """The folder with the tests of a file: tests/ROOM, or the nearest above it that exists."""
    inside = path.relative_to(path.parts[0]) if path.parts[0] in ("keras_caffe", "tests") else path
    return next(folder for up in inside.parents if (ROOT / (folder := "tests" / up)).is_dir())


def registered_types(path: Path) -> list[str]:
    """The Caffe types that a file registers."""
    calls = re.findall(r"^@register_layer\((.*?)\)", (ROOT / path).read_text(), re.MULTILINE | re.DOTALL)
    return [name for call in calls for name in re.findall(r'"(\w+)"', call)]


def close(path: Path) -> Iterator[Path]:
    """The test file of a file's own name, if it exists."""
    test = path if path.name.startswith("test_") else room(path) / f"test_{path.stem}.py"
    if (ROOT / test).exists():
        yield test


def arguments(names: Iterable[str]) -> list[str]:
    """Arguments for pytest: first the tests closest to the changed files, then whole rooms."""
    paths = [Path(name) for name in names if name.endswith(".py") and (ROOT / name).exists()]
    types = [name for path in paths for name in registered_types(path)]
    tests = [ALWAYS, *(test for path in paths for test in close(path)), *([GOLDENS] if types else [])]
    rooms = [room(path) for path in paths if not [*close(path), *registered_types(path)]]
    tests += [test.relative_to(ROOT) for folder in rooms for test in sorted((ROOT / folder).glob("test_*.py"))]
    chosen = ["-k", " or ".join([f"not {GOLDEN_TEST}", *types])] if types else []
    return [*dict.fromkeys(map(str, tests)), *chosen]


if __name__ == "__main__":
    print("\n".join(arguments(changed())))
