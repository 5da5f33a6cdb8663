"""Loading a trained net beside reading the same bytes into NumPy; every measurement in a process of its own."""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

COLUMNS = ("what", "first ms", "/ reading", "again ms", "/ reading", "peak memory / file")
TASKS = {
    "read": "np.fromfile",
    "into": "model.load_weights_from(file)",
    "whole": "keras_caffe.load(net, file)",
    "nothing": "import keras_caffe",
}
AGAIN = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--net", default="alexnet", help="see benchmarks/nets.py")
    parser.add_argument("--runs", type=int, default=7, help="processes for each row")


def measure(args: argparse.Namespace) -> Any:
    from . import nets, weights
    from .report import table

    with TemporaryDirectory() as folder:
        files = weights.write(nets.NETS[args.net](1), Path(folder))
        size = files[1].stat().st_size
        rounds = [
            {task: _in_child(task, "time", *files) for task in ("read", "into", "whole")} for _ in range(args.runs)
        ]
        peaks = {task: _in_child(task, "peak", *files)["peak"] for task in TASKS}
    reading = None
    rows = []
    for task in rounds[0]:
        times = [1e3 * statistics.median(r[task][kind] for r in rounds) for kind in ("first", "again")]
        reading = reading or times
        peak = (peaks[task] - peaks["nothing"]) / size if task != "into" else "-"
        rows.append((TASKS[task], times[0], times[0] / reading[0], times[1], times[1] / reading[1], peak))
    return table(f"Loading {args.net}, {size / 1e6:.0f} MB, medians of {args.runs} processes each", COLUMNS, rows)


def _in_child(*args: str | Path) -> dict[str, float]:
    done = subprocess.run([sys.executable, __file__, *map(str, args)], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def child(task: str, what: str, prototxt: str, caffemodel: str) -> dict[str, float]:
    """Runs one task: `first` and `again` seconds, or the process's `peak` in bytes."""
    import keras
    import numpy as np

    import keras_caffe

    if what == "time":
        keras.ops.zeros(1)  # TensorFlow is loaded when its first tensor is made.
        np.fromfile(caffemodel, "u1")  # The file is in the page cache.
        np.ones(3 * Path(caffemodel).stat().st_size, "u1")  # A virtual machine gives memory when it is first touched.
    if task == "into":
        model = keras_caffe.load(prototxt)
    calls: dict[str, Callable[[], Any]] = {
        "read": lambda: np.fromfile(caffemodel, "f4"),
        "into": lambda: model.load_weights_from(caffemodel),
        "whole": lambda: keras_caffe.load(prototxt, caffemodel),
        "nothing": lambda: None,
    }
    if what == "peak":
        kept = calls[task]()
        return {"peak": peak(), "kept": kept is not None}
    first, *again = (_timed(calls[task]) for _ in range(1 + AGAIN))
    return {"first": first, "again": statistics.median(again)}


def _timed(call: Callable[[], Any]) -> float:
    gc.collect()
    start = perf_counter()
    result = call()
    seconds = perf_counter() - start
    del result
    return seconds


def peak() -> int:
    """Greatest memory that this process ever held; resource.getrusage would count its parent's too."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    print(json.dumps(child(*sys.argv[1:])))
