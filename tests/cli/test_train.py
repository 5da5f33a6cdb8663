"""`keras-caffe train` as a process: signals, resuming, wrong usage."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import keras_caffe
from keras_caffe.cli import main
from tests.shared_goldens import ROOT
from tests.solver import digits


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "keras_caffe.cli", "train", "--solver=solver.prototxt", *options]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(process: subprocess.Popen[str], line: str) -> None:
    while line not in (found := process.stdout.readline()):
        assert found, process.stderr.read()


def states(folder: Path) -> list[int]:
    return sorted(int(path.stem.rpartition("_")[2]) for path in folder.glob("*.solverstate"))


def test_signals(tmp_path: Path) -> None:
    digits.write(tmp_path, "max_iter: 1000000 display: 1")
    process = start(tmp_path)
    wait_for(process, "Iteration 3,")
    process.send_signal(signal.SIGHUP)
    for _ in range(600):
        if states(tmp_path):
            break
        time.sleep(0.1)
    assert process.poll() is None, "SIGHUP goes on"
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert output.endswith("Optimization stopped early.\n")
    first, last = states(tmp_path)
    assert 4 <= first < last


def test_goes_on_from_a_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    solver = digits.write(tmp_path, "max_iter: 4 display: 1")
    assert main(["train", f"--solver={solver}"]) == 0
    solver.write_text(solver.read_text().replace("max_iter: 4", "max_iter: 6"))
    capsys.readouterr()
    assert main(["train", f"--solver={solver}", "--snapshot=digits_iter_4.solverstate"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "lr =" in line]
    assert [line.split(",")[0] for line in lines] == ["Iteration 4", "Iteration 5"]
    assert states(tmp_path) == [4, 6]


def test_snapshot_and_weights_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["train", "--solver=s", "--snapshot=a", "--weights=b"])
    assert caught.value.code == 2


def test_a_parameter_that_is_no_number_ends_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    solver = digits.write(tmp_path, "max_iter: 4 display: 1")
    model = keras_caffe.load("net.prototxt", phase="TRAIN")
    weights, bias = model.get_caffe_params()["conv1"]
    model.set_caffe_params({"conv1": [np.full_like(weights, np.nan), bias]})
    keras_caffe.save(model, caffemodel=tmp_path / "nan.caffemodel")
    assert main(["train", f"--solver={solver}", f"--weights={tmp_path / 'nan.caffemodel'}"]) == 1
    output, errors = capsys.readouterr()
    assert "the loss is nan in iteration 0: first in parameter 0 of layer 'conv1'" in errors
    assert "Optimization Done" not in output and not states(tmp_path)


def test_errors_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "solver.prototxt").write_text('net: "n" base_lr: 1 lr_policy: "cosine"')
    assert main(["train", f"--solver={tmp_path / 'solver.prototxt'}"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "solver.prototxt: unknown lr_policy 'cosine'" in error


def test_tensorboard_gets_losses_the_rate_and_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard")
    monkeypatch.chdir(tmp_path)
    solver = digits.write(tmp_path, "max_iter: 4 display: 1")
    assert main(["train", f"--solver={solver}", "--tensorboard=board"]) == 0
    events = b"".join(file.read_bytes() for file in (tmp_path / "board").rglob("events.out.tfevents.*"))
    for tag in (b"batch_loss", b"epoch_loss", b"epoch_learning_rate", b"conv1/kernel/histogram"):
        assert tag in events, tag


def test_without_tensorboard_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("keras_caffe.cli.train.find_spec", lambda name: None)
    solver = digits.write(tmp_path, "max_iter: 1")
    assert main(["train", f"--solver={solver}", "--tensorboard=board"]) == 1
    assert "pip install 'keras-caffe[tensorboard]'" in capsys.readouterr().err
