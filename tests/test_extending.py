"""The examples of docs/extending.md do what the page says; each runs in a fresh process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from keras_caffe.layers.base import CaffeLayer
from tests.shared_goldens import ROOT

PAGE = (ROOT / "docs" / "extending.md").read_text()
FILES = {name: text for name, text in re.findall(r"^```\w+\n(?:#|//) file: (\S+)\n(.*?)^```$", PAGE, re.M | re.S)}
QUOTED = {name for name in FILES if "/" in name}  # from files of this repository


def run(arguments: list[str], folder: Path, *paths: Path) -> None:
    path = os.pathsep.join(map(str, (*paths, ROOT)))
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["use_group_max.py", "use_custom_layers.py", "use_python_layer.py"])
def test_examples(name: str, tmp_path: Path) -> None:
    for file in (name, "group_max.py"):
        (tmp_path / file).write_text(FILES[file])
    run([name], tmp_path)


def test_a_package_brings_a_layer(tmp_path: Path) -> None:
    package, installed = tmp_path / "package", tmp_path / "installed"
    package.mkdir()
    for file in ("pyproject.toml", "caffe_gate.py"):
        (package / file).write_text(FILES[file])
    pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    run([*pip, "--disable-pip-version-check", "--target", str(installed), str(package)], tmp_path)
    (tmp_path / "use_gate.py").write_text(FILES["use_gate.py"])
    run(["use_gate.py"], tmp_path, installed)


@pytest.mark.parametrize("name", sorted(QUOTED))
def test_what_is_quoted_stands_in_the_file(name: str) -> None:
    assert FILES[name] in (ROOT / name).read_text(), f"docs/extending.md quotes {name} as it was: copy the block anew"


def test_every_example_is_tested() -> None:
    assert set(FILES) - QUOTED == {
        *("group_max.py", "use_group_max.py", "pyproject.toml", "caffe_gate.py", "use_gate.py"),
        *("use_custom_layers.py", "use_python_layer.py"),
    }
    assert PAGE.count("```") == 2 * len(FILES), "a block of code without a file name is not tested"


def test_the_table_names_what_a_class_states() -> None:
    table = PAGE.split("### What a layer class states")[1].split("\n## ")[0]
    names = {name for row in re.findall(r"^\| (`[^|]*) \|", table, re.M) for name in re.findall(r"`(\w+)", row)}
    assert {"bottoms", "tops", "stores", "top_shapes", "blob_table", "from_caffe"} <= names
    assert all(hasattr(CaffeLayer, name) for name in names)
