"""Golden training runs of real Caffe (format: goldens/README-solvers-data.md)."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from keras_caffe.solver import Solver, load_solver
from tests.layers.golden_case import to_edge
from tests.shared_goldens import GOLDENS

SOLVERS = GOLDENS / "solvers"
NAMES = sorted(path.stem for path in SOLVERS.glob("*.npz"))
RECORDED = (1, 2, 3, 5, 10, 20, 50)
FORMAT = "channels_last"


@dataclass
class Run:
    """One golden file."""

    name: str
    file: Path

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        with np.load(self.file) as arrays:
            return {key: arrays[key] for key in arrays.files}

    @cached_property
    def meta(self) -> dict[str, Any]:
        return json.loads(str(self.arrays["meta"]))

    def group(self, prefix: str) -> dict[str, np.ndarray]:
        return {k.removeprefix(f"{prefix}/"): a for k, a in self.arrays.items() if k.startswith(f"{prefix}/")}

    def batches(self, start: int = 0) -> Iterator[Mapping[str, np.ndarray]]:
        pool = {name: [to_edge(x, FORMAT) for x in array] for name, array in self.group("pool").items()}
        count = len(next(iter(pool.values())))
        for index in itertools.count(start):
            yield {name: arrays[index % count] for name, arrays in pool.items()}

    def test_batch(self) -> list[Mapping[str, np.ndarray]]:
        return [{name: to_edge(x, FORMAT) for name, x in self.group("testbatch").items()}]

    def solver(self, folder: Path, **arguments: Any) -> Solver:
        (folder / "net.prototxt").write_text(self.meta["net_prototxt"])
        (folder / "solver.prototxt").write_text(self.meta["solver_prototxt"])
        data = {"train_data": self.batches(), "test_data": self.test_batch(), **arguments}
        solver = load_solver(folder / "solver.prototxt", data_format=FORMAT, **data)
        solver.model.set_caffe_params(by_layer(self.group("init")))
        return solver


def by_layer(arrays: Mapping[str, np.ndarray]) -> dict[str, list[np.ndarray]]:
    """{"layer/0": a, "layer/1": b} -> {"layer": [a, b]}."""
    params: dict[str, list[np.ndarray]] = {}
    for key in sorted(arrays, key=lambda k: int(k.rpartition("/")[2])):
        params.setdefault(key.rpartition("/")[0], []).append(arrays[key])
    return params


def params(solver: Solver) -> dict[str, np.ndarray]:
    found = solver.model.get_caffe_params()
    return {f"{layer}/{index}": a for layer, arrays in found.items() for index, a in enumerate(arrays)}


def close(got: Any, want: Any, sens: Any, what: str) -> None:
    excess = np.abs(np.float64(got) - want) - (2e-6 + 2e-5 * np.abs(want) + 20 * np.asarray(sens))
    assert np.max(excess) <= 0, f"{what}: off by {np.max(np.abs(np.float64(got) - want)):.3g}"


def check_history(run: Run, solver: Solver) -> None:
    wanted, sens = run.group("hist"), run.arrays["sens_hist"]
    found = solver.history.get()
    assert len(found) == len(wanted) == run.meta["state"]["n_history"]
    for number, got in enumerate(found):
        close(got, wanted[str(number)], sens[number], f"history {number}")
