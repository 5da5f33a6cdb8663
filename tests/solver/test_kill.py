"""A run that is killed at any moment and goes on from its last snapshot ends as one that was not."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from keras_caffe import whole
from keras_caffe.converters import write
from keras_caffe.solver import Solver, load_solver
from keras_caffe.solver import state as states
from tests.shared_goldens import ROOT
from tests.solver import digits

KILLS = int(os.environ.get("KERAS_CAFFE_KILLS", "2"))
ITERATIONS = 30
MOMENTS = 40  # a snapshot makes fewer calls


def newest(folder: Path) -> Path | None:
    """The newest state that is there."""
    found = {int(re.search(r"_iter_(\d+)\.", path.name)[1]): path for path in folder.glob("digits_iter_*.solverstate")}
    return found[max(found)] if found else None


def command(folder: Path) -> list[str]:
    state = newest(folder)
    resumed = [f"--snapshot={state}"] if state else []
    return [sys.executable, "-m", "keras_caffe.cli", "train", f"--solver={folder / 'solver.prototxt'}", *resumed]


def start(folder: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"}
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(command(folder), cwd=folder, env=environment, stdout=log, stderr=log)


def test_killed_processes(tmp_path: Path) -> None:
    """Each process is killed soon after its first snapshot, at another moment each time, and the next one goes on."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    iterations = 100 * KILLS
    for folder in (whole, killed):
        folder.mkdir()
        digits.write(folder, f"max_iter: {iterations} snapshot: 1")
    assert start(whole).wait() == 0
    for number in range(KILLS):
        before, process = newest(killed), start(killed)
        while newest(killed) == before and process.poll() is None:
            time.sleep(0.001)
        time.sleep(0.003 * number)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, (killed / "log").read_text()[-2000:]
    assert start(killed).wait() == 0
    for kind in ("caffemodel", "solverstate"):
        name = f"digits_iter_{iterations}.{kind}"
        assert (killed / name).read_bytes() == (whole / name).read_bytes()


class Killed(BaseException):
    """The process ends here."""


@contextmanager
def killed_at(moment: int) -> Iterator[None]:
    """Nothing happens any more from the given system call of a snapshot on, not even tidying up."""
    calls = 0

    def dying(call):
        def made(*args, **kwargs):
            nonlocal calls
            calls += 1
            if calls > moment:
                raise Killed
            return call(*args, **kwargs)

        return made

    names = [(os, "fsync"), (os, "replace"), (os, "unlink"), (Path, "replace"), (Path, "unlink"), (Path, "chmod")]
    names += [(write, "_pieces"), (states.write, "blob_field"), (whole.tempfile, "mkdtemp"), (whole.shutil, "rmtree")]
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in names:
            patch.setattr(owner, name, dying(getattr(owner, name)))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("kill")
    digits.write(found, f"max_iter: {ITERATIONS}")
    return found


@pytest.fixture(scope="module")
def final(folder: Path) -> dict[str, list]:
    solver = made(folder)
    solver.step(ITERATIONS)
    return solver.model.get_caffe_params()


def made(folder: Path) -> Solver:
    return load_solver(folder / "solver.prototxt", data_format="channels_last")


def test_every_moment_of_a_snapshot(folder: Path, final: dict[str, list], monkeypatch: pytest.MonkeyPatch) -> None:
    """Snapshots that die at any call leave the one before, or the new one whole."""
    monkeypatch.chdir(folder)
    running, again = made(folder), made(folder)
    running.snapshot()
    resumed = []
    for moment in range(MOMENTS):
        if moment % 2:
            running.step(1)
        with pytest.raises(Killed), killed_at(moment):
            running.snapshot()
            raise Killed
        again.restore(newest(folder))
        resumed.append(again.iter)
        again.step(ITERATIONS - again.iter)
        for name, arrays in final.items():
            for mine, want in zip(again.model.get_caffe_params()[name], arrays, strict=True):
                assert (mine == want).all(), f"killed at call {moment}, resumed at {again.iter}"
    assert resumed[0] == 0 and resumed[-1] == running.iter  # the last snapshot has fewer calls than it was given
