"""The documents as a site: every page builds, every link leads somewhere, every public name has a place."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import keras_caffe
from tests.shared_goldens import ROOT

pytest.importorskip("mkdocs", reason="needs the extra docs")
SUBMODULES = {"cv_dnn", "data", "layers", "losses", "metrics", "ops", "optimizers", "pycaffe", "plots", "known", "beam"}
ELSEWHERE = {"CaffeError", "CaffeWarning", "__version__"}  # docs/errors.md


def test_the_site_builds_strictly(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    start = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert 'href="cli.html"' in start
    assert 'href="docs/cli.md"' not in start
    assert not re.search(r'(src|href)="https?://[^"]*\.(css|js|woff2?)"', start), "a page loads from another server"


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    nav = re.findall(r"([\w/]+\.md)$", text, re.MULTILINE)
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert pages <= set(nav), "add them to nav in mkdocs.yml"


def test_every_public_name_is_in_the_reference() -> None:
    text = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    shown = {path.rpartition(".")[2] for path in re.findall(r"^::: (\S+)$", text, re.MULTILINE)}
    assert set(keras_caffe.__all__) - SUBMODULES - ELSEWHERE <= shown, "add them to docs/reference/api.md"
