"""What the command line imports before it answers."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from keras_caffe import requirements, samples
from keras_caffe.cli import view
from tests.shared_goldens import ROOT

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


LENET = [str(samples.path("lenet.prototxt")), str(samples.path("lenet.caffemodel"))]
HELP_FOR_ALL = """
import sys
sys.argv = ["keras-caffe"]
from keras_caffe.cli import COMMANDS, main
for name, module in COMMANDS.items():
    for command in getattr(module, "COMMANDS", {"": module}):
        try:
            main([name, *filter(None, [command]), "--help"])
        except SystemExit as end:
            assert not end.code, name
        print("after", name, {part.partition(".")[0] for part in sys.modules} & set(HEAVY))
"""


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        ([], 2),
        (["nosuch"], 2),
        (["upgrade"], 2),
        (["export", "--nosuch"], 2),
        (["export", *LENET, "-o", "x", "--detections", "raw", "--blob", "prob"], 2),
        (["predict", *LENET], 2),
        (["caffe", "train", "--help"], 1),
        (["caffe", "--version"], 0),
        (["caffe", "convert_imageset", "root/"], 1),
    ],
)
def test_help_and_wrong_usage_import_nothing_heavy(args: list[str], code: int) -> None:
    assert not imported(*args, code=code)


def test_the_help_of_no_command_imports_anything_heavy() -> None:
    code = f"HEAVY = {HEAVY!r}{HELP_FOR_ALL}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line for line in done.stdout.splitlines() if line.startswith("after ")]
    assert len(lines) > 20
    assert not [line for line in lines if not line.endswith(" set()")]


def test_what_only_reads_and_writes_text_imports_nothing_heavy(tmp_path: Path) -> None:
    out = tmp_path / "net.prototxt"
    assert not imported("upgrade", str(samples.path("lenet.prototxt")), str(out), code=0)
    assert "LeNet" in out.read_text()


@pytest.mark.parametrize("args", [["explain"], ["explain", "ReadError"], ["completion", "bash"]], ids=" ".join)
def test_what_only_prints_imports_nothing_heavy(args: list[str]) -> None:
    if args[0] == "completion":
        pytest.importorskip("shtab")
    assert not imported(*args, code=0)


def test_what_computes_nothing_keeps_tensorflow_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    requirements.without_backend()
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "2"


@pytest.mark.parametrize(
    ("argv", "original", "expected"),
    [
        (["-m", "check"], ["python", "-m", "keras_caffe", "check"], True),
        (["-m"], ["python", "-I", "-X", "dev", "-m", "keras_caffe.cli"], True),
        (["-m"], ["python", "-Im", "keras_caffe"], True),
        (["-m"], ["python", "-mkeras_caffe"], True),
        (["-m", "keras_caffe"], ["python", "-m", "mine", "keras_caffe"], False),
        (["/bin/pytest", "keras_caffe"], ["python", "/bin/pytest", "keras_caffe"], False),
        (["my.py", "keras_caffe"], ["python", "my.py", "keras_caffe"], False),
        (["my.py", "-m", "keras_caffe"], ["python", "my.py", "-m", "keras_caffe"], False),
        (["/nowhere/keras-caffe", "check"], ["python", "/nowhere/keras-caffe", "check"], True),
        (["keras-caffe.exe"], ["keras-caffe.exe"], True),
        (["/nowhere/caffe"], ["python", "/nowhere/caffe"], False),
        ([""], ["python"], False),
    ],
)
def test_what_is_a_command(argv: list[str], original: list[str], expected: bool) -> None:
    assert requirements.is_command(argv, original) == expected


def test_a_script_with_the_name_of_caffes_program_is_a_command_if_it_is_the_shims(tmp_path: Path) -> None:
    for name, text in (("caffe", "from keras_caffe.cli.programs import console"), ("extract_features", "import caffe")):
        (tmp_path / name).write_text(text)
        file = str(tmp_path / name)
        assert requirements.is_command([file], [sys.executable, file]) == (name == "caffe")


NOTHING = [["check"], ["summary"], ["draw", "-o", "net.dot"], ["view", "-o", "net.html"]]


@pytest.mark.parametrize("args", NOTHING, ids=lambda args: args[0])
def test_what_computes_nothing_needs_no_tensorflow(args: list[str], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert "tensorflow" not in imported(args[0], LENET[0], *args[1:], code=0)


@pytest.mark.parametrize("missing", requirements.NUMPY_BACKEND)
@pytest.mark.parametrize("args", NOTHING, ids=lambda args: args[0])
def test_what_computes_nothing_needs_no_numpy_backend(args: list[str], missing: str, tmp_path: Path) -> None:
    """Keras's NumPy backend imports JAX and SciPy, which an ordinary installation does not bring."""
    argv = [args[0], LENET[0], *args[1:]]
    code = f"import sys; sys.modules[{missing!r}] = None; from keras_caffe.cli import main; sys.exit(main({argv}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=with_sources())
    assert run.returncode == 0, run.stderr[-2000:]


@pytest.mark.parametrize("missing", requirements.NUMPY_BACKEND)
def test_the_numpy_backend_says_what_it_needs(missing: str, tmp_path: Path) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; import keras_caffe"
    environment = {**with_sources(), "KERAS_BACKEND": "numpy"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert f"`pip install {missing}`" in run.stderr.splitlines()[-1]


def with_sources() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def test_a_page_of_what_is_run_needs_what_runs_it() -> None:
    parser = argparse.ArgumentParser()
    view.add_arguments(parser)
    for more in (["--image", "cat.jpg"], ["--against", "b.npz"], ["--allow-python-imports"]):
        assert not view.computes_nothing(parser.parse_args(["net.prototxt", *more])), more
    assert not view.computes_nothing(parser.parse_args(["net.keras"]))
    assert view.computes_nothing(parser.parse_args(["net.prototxt", "net.caffemodel"]))


def test_hidden_modules_are_there_again_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rarely_used.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    with requirements.hidden("rarely_used", "sys"):
        assert import_module("sys") is sys  # is imported already, so hiding it would save nothing
        with pytest.raises(ImportError, match="rarely_used"):
            import_module("rarely_used")
    assert import_module("rarely_used")


def test_commands_find_all_that_the_package_has(tmp_path: Path) -> None:
    imported("convert", *LENET, "-o", str(tmp_path / "net.keras"), code=0)
    assert (tmp_path / "net.keras").is_file()
