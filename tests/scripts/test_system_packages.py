"""`scripts/system_packages.sh` with an apt-get that only notes how it is called."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "system_packages.sh"
APT = """#!/bin/sh
echo "$@" >> "$(dirname "$0")/called"
"""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with nothing but what the script itself runs, for a user who is root."""
    for name in ("bash", "sh", "timeout", "tail", "dirname"):
        (tmp_path / name).symlink_to(shutil.which(name) or pytest.skip(f"there is no {name}"))
    return program(program(tmp_path, "id", "#!/bin/sh\necho 0\n"), "apt-get", APT)


def program(folder: Path, name: str, text: str = "#!/bin/sh\n") -> Path:
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)
    return folder


def run(programs: Path) -> str:
    done = subprocess.run(
        ["bash", SCRIPT], env={**os.environ, "PATH": str(programs)}, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout


def calls(programs: Path) -> list[str]:
    """The commands that apt-get got, and what to install."""
    lines = (programs / "called").read_text().splitlines()
    return [
        " ".join(word for word in line.split() if not word.startswith(("-", "Acquire", "APT", "DPkg")))
        for line in lines
    ]


def test_what_is_absent_is_installed_one_by_one(programs: Path) -> None:
    program(programs, "chromium-browser")
    assert run(programs) == "Installing graphviz chromium-driver ...\n"
    assert calls(programs) == [
        "update",
        *["install graphviz"] * 2,
        *["install chromium-driver"] * 2,
    ]  # fetched, unpacked


def test_what_is_there_is_left_alone(programs: Path) -> None:
    for name in ("dot", "google-chrome", "chromedriver"):
        program(programs, name)
    assert run(programs) == ""
    assert not (programs / "called").exists()


def test_nothing_is_installed_for_who_is_not_root(programs: Path) -> None:
    program(programs, "id", "#!/bin/sh\necho 1000\n")
    assert run(programs) == (
        "Not installed: graphviz chromium chromium-driver (only root may). The tests that need it skip.\n"
    )
    assert not (programs / "called").exists()


def test_where_something_cannot_be_installed_a_line_says_so_and_the_rest_is(programs: Path) -> None:
    text = 'case "$*" in *chromium-driver*) echo "E: no such package" >&2; exit 100;; esac\n'
    program(programs, "apt-get", APT + text)
    assert run(programs).splitlines()[1:] == [
        "Not installed: chromium-driver (E: no such package). The tests that need it skip."
    ]
    assert calls(programs)[-3:] == ["install chromium", "install chromium", "install chromium-driver"]


def test_where_nothing_can_be_installed_a_line_says_so_and_nothing_fails(programs: Path) -> None:
    program(programs, "apt-get", "#!/bin/sh\necho 'E: no network' >&2\nexit 100\n")
    assert run(programs).splitlines()[1:] == [
        "Not installed: graphviz chromium chromium-driver (E: no network). The tests that need it skip."
    ]
    (programs / "apt-get").unlink()
    assert "(no apt-get)" in run(programs)
