"""Trains a small net in N processes under MultiWorkerMirroredStrategy, and compares with one of the N-fold batch.

With --kill a worker gets SIGKILL after a snapshot; then all begin again at the newest one, as a cluster's scheduler
would have it, and must end with the same numbers.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
ITERATIONS, RECORDS, EVERY, KILL_AFTER = 12, 4, 3, 6
WAIT = 300  # seconds


def newest(prefix: Path) -> Path | None:
    """The newest state of a run."""
    found = {
        int(re.findall(r"\d+", path.stem)[-1]): path for path in prefix.parent.glob(f"{prefix.name}_iter_*.solverstate")
    }
    return found[max(found)] if found else None


def train(folder: Path, index: int, workers: int) -> None:
    """One process: worker `index` of so many, or with index -1 all of them in one."""
    import tensorflow as tf

    from keras_caffe import load_solver
    from tests.solver.worker import NET, SOLVERS, batches

    alone = index < 0
    size = RECORDS * (workers if alone else 1)
    prefix = folder / ("alone" if alone else f"worker{index}")
    strategy = tf.distribute.get_strategy() if alone else tf.distribute.MultiWorkerMirroredStrategy()
    data = batches(size) if alone else batches(size, index, workers)
    net = f"train_net_param {{ {NET.format(n=size)} }} max_iter: {ITERATIONS} snapshot: {EVERY} random_seed: 1"
    with strategy.scope():
        solver = load_solver(
            f'{SOLVERS["sgd"]} snapshot_prefix: "{prefix}" {net}', train_data=data, data_format="channels_last"
        )
        state = newest(prefix)
        if state is not None:
            solver.restore(state)
        solver.fit(verbose=0)
    params = {f"{n}/{i}": a for n, arrays in solver.model.get_caffe_params().items() for i, a in enumerate(arrays)}
    np.savez(f"{prefix}.npz", **params, **{f"history/{i}": a for i, a in enumerate(solver.history.get())})


def start(folder: Path, index: int, workers: int, hosts: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    cluster = {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}}
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", **({"TF_CONFIG": json.dumps(cluster)} if hosts else {})}
    command = [sys.executable, __file__, "--train", str(folder), str(index), str(workers)]
    with (folder / f"log{index}").open("ab") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def ports(count: int) -> list[str]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    names = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    return names


def cluster(folder: Path, workers: int, kill: bool) -> bool:
    """Runs all workers; whether they came to their end. With `kill`, one is killed once all have the snapshot."""
    hosts = ports(workers)
    running = [start(folder, index, workers, hosts) for index in range(workers)]
    until = time.monotonic() + WAIT
    try:
        while any(process.poll() is None for process in running) and time.monotonic() < until:
            if kill and all((folder / f"worker{i}_iter_{KILL_AFTER}.solverstate").exists() for i in range(workers)):
                running[-1].send_signal(signal.SIGKILL)
                return False
            if any(process.poll() for process in running):
                return False
            time.sleep(0.02)
        return all(process.poll() == 0 for process in running)
    finally:
        for process in running:
            process.kill()
            process.wait()


def difference(folder: Path, index: int) -> float:
    """The largest difference between a worker's parameters and histories and those of one process."""
    with np.load(folder / "alone.npz") as wanted, np.load(folder / f"worker{index}.npz") as found:
        return max(float(np.max(np.abs(found[name] - wanted[name]))) for name in wanted.files)


def main(argv: Sequence[str]) -> int:
    if argv[:1] == ["--train"]:
        train(Path(argv[1]), int(argv[2]), int(argv[3]))
        return 0
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2, metavar="N")
    parser.add_argument("--kill", action="store_true", help="kill one after a snapshot, and go on from there")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start(folder, -1, args.workers).wait(WAIT)
        ended = cluster(folder, args.workers, args.kill)
        if args.kill:
            print(f"killed worker {args.workers - 1}; snapshots of iteration {KILL_AFTER} are there")
            ended = not ended and cluster(folder, args.workers, kill=False)
        if not ended:
            print("\n".join(path.read_text(errors="replace")[-2000:] for path in sorted(folder.glob("log*"))))
            return 1
        found = [difference(folder, index) for index in range(args.workers)]
    print(f"{args.workers} workers, {ITERATIONS} iterations: largest difference to one process {max(found):.2g}")
    return 0 if max(found) < 1e-5 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
