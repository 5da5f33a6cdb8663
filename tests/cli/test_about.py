"""`version`, `selftest` and `completion`."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from keras_caffe.cli import COMMANDS, main, selftest
from keras_caffe.version import __version__


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"keras_caffe {__version__}\n"
    assert main(["version", "--all", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["keras_caffe"] == __version__
    assert {"python", "processor", "native operations", "libraries", "engines"} <= set(facts)
    assert {"keras", "numpy", "protobuf"} <= set(facts["libraries"])


def test_selftest_says_what_fails(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["selftest", "--only", "predict"]) == 0
    assert "predict  ok: accuracy 0.961, as Caffe's" in capsys.readouterr().out
    monkeypatch.setattr(selftest, "CAFFES_ACCURACY", 0.5)
    assert main(["selftest", "--only", "predict"]) == 1
    assert "predict  FAILED: AssertionError: accuracy 0.961; Caffe's is 0.5" in capsys.readouterr().out


def test_selftest_goes_through_every_door(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["selftest"]) == 0
    steps = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert steps == ["predict", "save", "fit", "train", "export", "onnx", "pycaffe"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["completion", shell]) == 0
    script = tmp_path / "completion"
    script.write_text(capsys.readouterr().out)
    assert all(name in script.read_text() for name in [*COMMANDS, "skip-mismatch", "imageset"][:-1])
    if shell == "bash":
        subprocess.run(["bash", "-n", script], check=True)


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_commands_and_options(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    main(["completion", "bash"])
    (tmp_path / "completion").write_text(capsys.readouterr().out)
    asked = (
        "source {file}; COMP_WORDS=(keras-caffe {words}); COMP_CWORD={count}; "
        "$(complete -p keras-caffe | sed 's/.*-F \\([^ ]*\\).*/\\1/'); echo ${{COMPREPLY[@]}}"
    )
    for words, expected in (("summ", "summary"), ("convert --skip", "--skip-mismatch")):
        command = asked.format(file=tmp_path / "completion", words=words, count=len(words.split()))
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
        assert expected in done.stdout.split(), done
