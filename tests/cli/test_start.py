"""What the command line imports before it answers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from keras_caffe import samples

HEAVY = {"keras", "tensorflow", "onnx", "rich", "h5py"}


def imported(*args: str, code: int) -> set[str]:
    """The heavy packages among those that `keras-caffe ARGS` imports."""
    timed = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    command = [sys.executable, "-m", "keras_caffe", *args]
    done = subprocess.run(command, env=timed, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stderr[-2000:]
    names = set(re.findall(r"^import time:.*\|\s*([\w.]+)$", done.stderr, re.MULTILINE))
    assert "keras_caffe.cli" in names
    return names & HEAVY


@pytest.mark.parametrize(
    ("args", "code"),
    [(["--help"], 0), (["--version"], 0), ([], 2), (["nosuch"], 2), (["upgrade"], 2), (["upgrade", "--help"], 0)],
)
def test_help_and_wrong_usage_import_nothing_heavy(args: list[str], code: int) -> None:
    assert not imported(*args, code=code)


def test_what_only_reads_and_writes_text_imports_nothing_heavy(tmp_path: Path) -> None:
    out = tmp_path / "net.prototxt"
    assert not imported("upgrade", str(samples.path("lenet.prototxt")), str(out), code=0)
    assert "LeNet" in out.read_text()


def test_commands_find_all_that_the_package_has() -> None:
    assert "keras" in imported("check", str(samples.path("lenet.prototxt")), code=0)
