"""LeNet on 4,000 digits: Caffe's loss in each of 500 iterations, and its accuracy at the end."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from keras_caffe import samples
from keras_caffe.cli import main
from keras_caffe.solver import load_solver
from tests.shared_goldens import GOLDENS

LENET = GOLDENS / "lenet"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Caffe's files; the working directory."""
    shutil.copytree(LENET, tmp_path, dirs_exist_ok=True)
    shutil.copytree(samples.path("db/mnist_test_lmdb"), tmp_path / "db" / "mnist_test_lmdb")
    shutil.copy(samples.path("lenet.caffemodel"), tmp_path / "lenet_final.caffemodel")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_follows_caffe(folder: Path) -> None:
    with np.load("lenet_record.npz") as record:
        want = {key: record[key] for key in record.files if key != "meta"}
    solver = load_solver("lenet_solver.prototxt", weights="lenet_init.caffemodel")
    losses, rates = [], []
    for _ in range(5):
        rates.append(solver.lr)
        losses += solver.step(100)
    np.testing.assert_allclose(rates, want["lr"][::100], rtol=1e-6)
    off = np.abs(np.array(losses) - want["loss"])
    assert off[:20].max() < 1e-4
    assert np.all(off <= np.maximum(0.02, 5 * want["sens_loss"])), off.max()
    scores = solver.test()
    assert scores["accuracy"] == pytest.approx(want["test/0/accuracy"][-1], abs=0.002)
    assert scores["loss"] == pytest.approx(want["test/0/loss"][-1], abs=0.005)


def test_command_test_says_what_caffe_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net, weights = "lenet_train_test.prototxt", "lenet_final.caffemodel"
    assert main(["test", f"--model={net}", f"--weights={weights}", "--iterations=5"]) == 0
    ours = capsys.readouterr().out.splitlines()
    logged = re.findall(
        r"caffe\.cpp:\d+\] ((?:Running|Batch|Loss|accuracy|loss).*)", Path("lenet_cli_test.log").read_text()
    )
    assert words(ours) == words(logged)
    np.testing.assert_allclose(numbers(ours), numbers(logged), rtol=1e-4, atol=1e-4)


def test_command_train_says_what_caffe_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its lines' form; Caffe's run had random numbers of its own."""
    assert main(["train", "--solver=lenet_cli_solver.prototxt"]) == 0
    ours = capsys.readouterr().out.splitlines()
    pattern = r"solver\.cpp:\d+\] ((?:Iteration|    T|Snapshotting).*)"
    logged = [line for line in re.findall(pattern, Path("lenet_cli.log").read_text())]
    assert sorted(words(ours[:-1])) == sorted(words(logged))
    assert ours[-1] == "Optimization Done."
    assert (folder / "lenet_cli_iter_60.solverstate").exists()


def words(lines: list[str]) -> list[str]:
    """Lines without their numbers, rates and names of files."""
    varies = (r"(?<==) -?[\d.e-]+", r" \(.*?iter/s.*?\)", r"(?<=file) \S+")
    return [re.sub("|".join(varies), "", line) for line in lines]


def numbers(lines: list[str]) -> list[float]:
    return [float(number) for line in lines for number in re.findall(r"= (-?[\d.e-]+)", line)]
