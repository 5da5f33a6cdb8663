"""Runs the same thing many times, and tells whether memory, threads and time stay what they are.

    iterations   of LeNet's solver on the sample digits, with tests and snapshots; each session first repeats the last
                 thousand iterations from the snapshot before and compares the files
    loads        of nets in one process
    datasets     opened, read and dropped
    drops        of iterators with a mean_file while they read ahead

Each runs in a process of its own, which is measured, too, from its last word to its exit: that may take two seconds of
a processor. What is done is kept in the folder --state: the same command goes on from there. Without counts a few of
each are done, in some minutes.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
COUNTS = {"iterations": 3000, "loads": 100, "datasets": 100, "drops": 200}
WARM = {"iterations": 1000, "loads": 30, "datasets": 30, "drops": 50}  # what comes before the first measurement
CHUNK = {"iterations": 1000, "loads": 10, "datasets": 10, "drops": 50}  # between two measurements
GROWTH, EXIT, HANGS = 1.05, 2.0, 120.0  # of memory; seconds of a processor; seconds without an end
SOLVER = """net: "{net}" base_lr: 0.01 momentum: 0.9 weight_decay: 0.0005 lr_policy: "inv" gamma: 0.0001 power: 0.75
display: 0 max_iter: {count} snapshot: 1000 snapshot_prefix: "{prefix}" test_iter: 2 test_interval: 500
random_seed: 1"""
DATA = """layer {{ name: "d" type: "Data" top: "data" top: "label" transform_param {{ {mean} }}
  data_param {{ source: "{source}" batch_size: 16 backend: LMDB }} }}"""


def memory() -> float:
    """Megabytes that the process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


def threads() -> int:
    return sum(1 for _ in Path("/proc/self/task").iterdir())


class Lenet:
    """The solver, at its newest snapshot; its units are thousands of iterations."""

    def __init__(self, folder: Path, count: int) -> None:
        from keras_caffe import samples

        self.folder, self.prefix = folder, folder / "lenet"
        text = samples.path("lenet_train_test.prototxt").read_text().replace("mnist_train_lmdb", "mnist_test_lmdb")
        text = text.replace("batch_size: 64", "batch_size: 16").replace("batch_size: 100", "batch_size: 16")
        (folder / "net.prototxt").write_text(text.replace('source: "', f'source: "{samples.path("db").parent}/'))
        (folder / "solver.prototxt").write_text(
            SOLVER.format(net=folder / "net.prototxt", count=count, prefix=self.prefix)
        )
        self.solver = self._open()
        found = self.snapshots()
        if len(found) > 1:
            self.same_bits(*found[-2:])
        if found:
            self.solver.restore(self._state(found[-1]))

    def _open(self) -> Any:
        from keras_caffe import load_solver

        return load_solver(self.folder / "solver.prototxt")

    def _state(self, iteration: int) -> Path:
        return Path(f"{self.prefix}_iter_{iteration}.solverstate")

    def snapshots(self) -> list[int]:
        return sorted(int(path.stem.rpartition("_")[2]) for path in self.folder.glob("lenet_iter_*.solverstate"))

    def same_bits(self, before: int, after: int) -> None:
        """Repeats the way from one snapshot to the next, and compares both files."""
        wanted = [self._state(after).with_suffix(kind).read_bytes() for kind in (".caffemodel", ".solverstate")]
        self.solver.restore(self._state(before))
        self.solver.step(after - before)
        found = [self._state(after).with_suffix(kind).read_bytes() for kind in (".caffemodel", ".solverstate")]
        if found != wanted:
            raise SystemExit(f"from iteration {before} to {after} the solver makes other numbers the second time")
        print(f"iterations {before} to {after} again: the same bits", flush=True)

    def __call__(self, count: int) -> None:
        self.solver.step(count)
        for old in self.snapshots()[:-2]:
            for kind in (".caffemodel", ".solverstate"):
                self._state(old).with_suffix(kind).unlink()


def loads(folder: Path, count: int) -> Callable[[int], None]:
    import numpy as np

    import keras_caffe
    from keras_caffe import samples

    files = samples.path("lenet.prototxt"), samples.path("lenet.caffemodel")

    def run(count: int) -> None:
        for _ in range(count):
            model = keras_caffe.load(*files, data_format="channels_last")
            model(np.zeros((1, 28, 28, 1), "float32"))

    return run


def _net(folder: Path, mean: bool) -> str:
    import numpy as np

    from keras_caffe import proto, samples

    blob = proto.BlobProto(num=1, channels=1, height=28, width=28, data=np.ones(784))
    (folder / "mean.binaryproto").write_bytes(blob.SerializeToString())
    source = samples.path("db/mnist_test_lmdb")
    return DATA.format(source=source, mean=f'mean_file: "{folder}/mean.binaryproto"' if mean else "scale: 2")


def datasets(folder: Path, count: int) -> Callable[[int], None]:
    from keras_caffe import dataset

    net = _net(folder, mean=False)

    def run(count: int) -> None:
        for _ in range(count):
            for _ in dataset(net, "TRAIN", seed=1).take(2):
                pass

    return run


def drops(folder: Path, count: int) -> Callable[[int], None]:
    from keras_caffe import dataset

    data = dataset(_net(folder, mean=True), "TRAIN", seed=1)

    def run(count: int) -> None:
        for number in range(count):
            iterator = iter(data)
            if number % 3:  # else while the first batch is in the making
                next(iterator)
            del iterator

    return run


RUNS: dict[str, Callable[[Path, int], Callable[[int], None]]] = {
    "iterations": Lenet,
    "loads": loads,
    "datasets": datasets,
    "drops": drops,
}


def work(name: str, folder: Path, count: int, until: float) -> None:
    """Does what is left of a run, and writes what was measured after each chunk."""
    kept = folder / f"{name}.json"
    state = (
        json.loads(kept.read_text()) if kept.exists() else {"done": 0, "growth": 0.0, "slower": 0.0, "threads": [0, 0]}
    )
    run = RUNS[name](folder, count)
    first: tuple[float, int, float] | None = None
    here = 0
    while state["done"] < count and time.time() < until:
        size = min(CHUNK[name], count - state["done"])
        faulthandler.dump_traceback_later(HANGS * max(1, size / 50), exit=True)
        start = time.process_time()
        run(size)
        seconds = (time.process_time() - start) / size
        faulthandler.cancel_dump_traceback_later()
        gc.collect()
        here, state["done"] = here + size, state["done"] + size
        now = (memory(), threads(), seconds)
        if first is None and here >= WARM[name]:
            first = now
        if first is not None:
            state["growth"] = max(state["growth"], now[0] / first[0])
            state["slower"], state["threads"] = now[2] / first[2], [first[1], now[1]]
        kept.write_text(json.dumps(state))
        print(f"{name} {state['done']}: {now[0]:.0f} MB, {now[1]} threads, {1000 * seconds:.2f} ms each", flush=True)
    print(f"done {time.process_time()}", flush=True)


def measured(name: str, arguments: Sequence[str]) -> tuple[float, float]:
    """Runs a child; seconds from its last word to its exit, by the clock and of a processor.

    Raises:
        SystemExit: it fails, or does not exit.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, __file__, "--run", name, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None  # noqa: S101
        said, line = time.monotonic(), ""
        for line in child.stdout:
            said = time.monotonic()
            print(line, end="", flush=True)
        child.wait(HANGS)
        took = time.monotonic() - said
    if child.returncode:
        raise SystemExit(f"{name}: it ended with {child.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return took, used - float(line.split()[-1])


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", type=Path, required=True, metavar="DIR", help="what is done, and the snapshots")
    parser.add_argument("--seconds", type=float, default=1e9, metavar="S", help="of each run, at most")
    parser.add_argument("--run", choices=RUNS, help="only this one, in this process")
    for name, count in COUNTS.items():
        parser.add_argument(f"--{name}", type=int, default=count, metavar="N", help=f"(default: {count})")
    args = parser.parse_args(argv)
    args.state.mkdir(parents=True, exist_ok=True)
    if args.run:
        work(args.run, args.state.resolve(), getattr(args, args.run), time.time() + args.seconds)
        return 0
    right = True
    for name in RUNS:
        if getattr(args, name):
            took, used = measured(name, list(argv))
            state = json.loads((args.state / f"{name}.json").read_text())
            before, now = state["threads"]
            good = state["growth"] <= GROWTH and now <= before and used <= EXIT
            right = right and good
            print(
                f"{'good' if good else 'BAD '} {name}: {state['done']}; memory {state['growth']:.3f} of the first, "
                f"time {state['slower']:.2f}, threads {before} -> {now}, exit {took:.1f} s, {used:.1f} s of a processor"
            )
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
