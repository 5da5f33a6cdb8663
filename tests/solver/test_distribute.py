"""`tf.distribute`: two replicas with a batch each are one process with both; mixed precision."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.shared_goldens import ROOT

WORKER = Path(__file__).with_name("worker.py")
CASES = ("sgd", "clipped")


def run(folder: Path, mode: str, case: str, cluster: dict | None = None) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    if cluster:
        environment["TF_CONFIG"] = json.dumps(cluster)
    return subprocess.Popen(
        [sys.executable, str(WORKER), mode, case, str(folder)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def result(process: subprocess.Popen[str], folder: Path, name: str) -> dict[str, np.ndarray]:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output[-3000:]
    with np.load(folder / f"{name}.npz") as arrays:
        return {key: arrays[key] for key in arrays.files}


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def same(got: dict[str, np.ndarray], want: dict[str, np.ndarray]) -> None:
    assert got.keys() == want.keys()
    for key in want:
        np.testing.assert_allclose(got[key], want[key], rtol=1e-5, atol=1e-5, err_msg=key)


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, np.ndarray]]:
    """One process with the doubled batch."""
    folder = tmp_path_factory.mktemp("single")
    return {case: result(run(folder, "single", case), folder, "single") for case in CASES}


@pytest.mark.parametrize("case", CASES)
def test_mirrored(tmp_path: Path, case: str, single: dict) -> None:
    same(result(run(tmp_path, "mirrored", case), tmp_path, "mirrored"), single[case])


@pytest.mark.parametrize("case", CASES)
def test_two_workers(tmp_path: Path, case: str, single: dict) -> None:
    hosts = [f"127.0.0.1:{port}" for port in free_ports(2)]
    tasks = [{"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}} for index in range(2)]
    workers = [run(tmp_path, f"worker{index}", case, task) for index, task in enumerate(tasks)]
    for index, worker in enumerate(workers):
        same(result(worker, tmp_path, f"worker{index}"), single[case])
