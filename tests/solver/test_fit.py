"""The loop: Keras's fit and callbacks, tests, lines, snapshots, requests, and losses that are no numbers."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_caffe.errors import DataError, SolverError
from keras_caffe.solver import Solver, load_solver
from tests.nets import HIDING
from tests.solver.golden_solver import SOLVERS, Run, params

MLP = Run("x_sgd_plain", SOLVERS / "x_sgd_plain.npz")


def solver(folder: Path, text: str = "", **arguments: Any) -> Solver:
    """The golden net with test nets every 5 iterations, and other values from `text`."""
    (folder / "net.prototxt").write_text(MLP.meta["net_prototxt"])
    base = 'net: "net.prototxt" lr_policy: "fixed" snapshot_prefix: "s" test_iter: 2 test_interval: 5 '
    base += "" if "base_lr" in text else "base_lr: 0.1 "
    base += "" if "max_iter" in text else "max_iter: 12 "
    (folder / "solver.prototxt").write_text(base + text)
    data = {"train_data": MLP.batches(), "test_data": MLP.test_batch(), **arguments}
    made = load_solver(folder / "solver.prototxt", data_format="channels_last", **data)
    init = MLP.group("init")
    made.model.set_caffe_params({name: [init[f"{name}/0"], init[f"{name}/1"]] for name in ("ip1", "ip2")})
    return made


class Recorder(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.batches: list[dict[str, float]] = []
        self.epochs: list[tuple[int, dict[str, float]]] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.batches.append({name: float(value) for name, value in logs.items()})

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epochs.append((epoch, dict(logs)))


def test_fit_is_the_same_as_step(tmp_path: Path) -> None:
    first, second, seen = solver(tmp_path), solver(tmp_path), Recorder()
    losses = first.step(12)
    history = second.fit(callbacks=[seen], verbose=0)
    assert [logs["loss"] for logs in seen.batches] == losses
    assert second.iter == 12
    for key, want in params(first).items():
        np.testing.assert_array_equal(params(second)[key], want)
    assert [epoch for epoch, _ in seen.epochs] == [0, 1, 2]
    assert set(seen.epochs[0][1]) == {"loss", "val_acc", "val_loss"}
    assert history.history["loss"] == pytest.approx([np.mean(losses[i : i + 5]) for i in (0, 5, 10)])
    assert history.history["val_loss"][-1] == second.scores["loss"] == pytest.approx(first.test()["loss"], rel=0.1)
    assert sorted(path.name for path in tmp_path.glob("s_*")) == ["s_iter_12.caffemodel", "s_iter_12.solverstate"]


def test_step_then_fit_go_on_with_the_data(tmp_path: Path) -> None:
    whole, parts, seen = solver(tmp_path), solver(tmp_path), Recorder()
    losses = whole.step(12)
    found = parts.step(3) + parts.step(1)
    parts.fit(callbacks=[seen], verbose=0)
    assert found + [logs["loss"] for logs in seen.batches] == losses
    assert [epoch for epoch, _ in seen.epochs] == [0, 1]


@pytest.mark.parametrize("kind", ["list", "dataset", "generator"])
def test_kinds_of_data(tmp_path: Path, kind: str) -> None:
    batches = MLP.batches()
    pool = [next(batches) for _ in range(5)]
    data = {
        "list": pool,
        "dataset": tf.data.Dataset.from_tensor_slices({n: np.stack([b[n] for b in pool]) for n in pool[0]}),
        "generator": MLP.batches(),
    }
    found = solver(tmp_path, train_data=data[kind]).step(12)
    np.testing.assert_allclose(
        found, solver(tmp_path).step(12), rtol=1e-6
    )  # sums depend on where in memory arrays start


def test_users_callbacks_work(tmp_path: Path) -> None:
    made = solver(tmp_path, "max_iter: 50")
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", min_delta=100.0, patience=1)
    table = keras.callbacks.CSVLogger(str(tmp_path / "log.csv"))
    made.fit(callbacks=[stop, table], verbose=0)
    assert made.iter == 10
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert {"loss", "val_acc", "val_loss"} <= set(rows[0])


def test_lines_are_caffes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = solver(tmp_path, "display: 4 average_loss: 3 snapshot_after_train: false")
    made.fit(verbose=0)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Iteration 0, Testing net (#0)"
    assert lines[1].startswith("    Test net output #0: acc = ")
    assert lines[2].startswith("    Test net output #1: loss = ") and lines[2].endswith(" loss)")
    assert lines[3].startswith("Iteration 0, loss = ")
    assert lines[4].startswith("    Train net output #0: loss = ")
    assert lines[5] == "Iteration 0, lr = 0.1"
    assert [line for line in lines if "Testing" in line] == [f"Iteration {i}, Testing net (#0)" for i in (0, 5, 10)]
    assert len([line for line in lines if "lr =" in line]) == 3
    assert lines[-1].startswith("Iteration 12, loss = ")


def test_smoothed_loss_is_the_mean_of_the_last(tmp_path: Path) -> None:
    made = solver(tmp_path, "average_loss: 3")
    losses = made.step(7)
    assert made.display.smoothed_loss == pytest.approx(np.mean(losses[-3:]))


def test_tests_before_the_first_iteration_can_be_left_out(tmp_path: Path) -> None:
    made = solver(tmp_path, "test_initialization: false")
    made.step(1)
    assert made.scores is None
    made.step(5)
    assert set(made.scores[0]) == {"acc", "loss"}


def test_snapshots_at_their_interval(tmp_path: Path) -> None:
    solver(tmp_path, "snapshot: 5 snapshot_format: HDF5").fit(verbose=0)
    found = sorted(path.name for path in tmp_path.glob("s_*"))
    assert found == sorted(f"s_iter_{n}.{kind}.h5" for n in (5, 10, 12) for kind in ("caffemodel", "solverstate"))


class Ask(keras.callbacks.Callback):
    def __init__(self, made: Solver, what: str, at: int) -> None:
        super().__init__()
        self.made, self.what, self.at = made, what, at

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self.made.iter == self.at:
            self.made.request = self.what


def test_stop_on_request_with_a_snapshot(tmp_path: Path) -> None:
    made = solver(tmp_path)
    made.fit(callbacks=[Ask(made, "stop", 3)], verbose=0)
    assert made.iter == 4
    assert (tmp_path / "s_iter_4.solverstate").exists()


def test_snapshot_on_request_and_on(tmp_path: Path) -> None:
    made = solver(tmp_path)
    made.fit(callbacks=[Ask(made, "snapshot", 3)], verbose=0)
    assert made.iter == 12
    assert (tmp_path / "s_iter_4.solverstate").exists()


def test_loss_that_is_no_number(tmp_path: Path) -> None:
    batches = MLP.batches()
    data = [next(batches) for _ in range(4)]
    made = solver(tmp_path, train_data=[*data[:3], {**data[3], "data": np.full((6, 10), np.inf, "float32")}])
    made.model.set_caffe_params({"ip1": [np.ones((8, 10)), np.zeros(8)]})
    made.step(3)
    before = params(made)
    with pytest.raises(SolverError, match="nan in iteration 3: first in blob 'data'") as caught:
        made.step(1)
    assert caught.value.layer == "'data' (Input)"
    for key, want in before.items():
        np.testing.assert_array_equal(params(made)[key], want)
    assert made.iter == 3
    made.snapshot()


def test_parameter_that_is_no_number(tmp_path: Path) -> None:
    made = solver(tmp_path)
    made.model.set_caffe_params({"ip2": [np.full((4, 8), np.nan), np.zeros(4)]})
    with pytest.raises(SolverError, match="first in parameter 0 of layer 'ip2'"):
        made.step(1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("way", ["step", "fit"])
def test_a_parameter_that_is_no_number_stops_training_though_the_loss_hides_it(way: str, value: float) -> None:
    batch = {"data": np.ones((2, 4, 4, 1), "float32"), "label": np.zeros(2, "float32")}
    text = f'net_param {{ {HIDING} }} base_lr: 0.1 lr_policy: "fixed" max_iter: 9 snapshot_after_train: false'
    made = load_solver(text, train_data=[batch], data_format="channels_last")
    weights, bias = made.model.get_caffe_params()["conv"]
    made.model.set_caffe_params({"conv": [weights, np.array([0, value], "float32")]})
    if value != np.inf:  # MAX pooling takes neither, and a weight of 0 what it gives instead.
        assert np.isfinite(made.model(batch))
    with pytest.raises(SolverError, match="in iteration 0: first in parameter 1 of layer 'conv'"):
        made.step(1) if way == "step" else made.fit(verbose=0)


def test_label_out_of_range(tmp_path: Path) -> None:
    batch = {**next(MLP.batches()), "label": np.full(6, 99.0)}
    with pytest.raises(SolverError, match="label.*out of range.*from 0 to 3; received 99.*Fix the labels") as caught:
        solver(tmp_path, train_data=[batch]).step(1)
    assert "loss" in caught.value.layer
    assert "base_lr" not in str(caught.value)


def test_diverging(tmp_path: Path) -> None:
    made = solver(tmp_path, "base_lr: 1e30")
    with pytest.raises(SolverError, match="in iteration [12]: first in") as caught:
        made.fit(verbose=0)
    assert caught.value.layer


@pytest.mark.parametrize(("passes", "steps"), [(1, 3), (2, 1)])
def test_data_that_end(tmp_path: Path, passes: int, steps: int) -> None:
    batches = MLP.batches()
    made = solver(tmp_path, f"iter_size: {passes}", train_data=iter([next(batches) for _ in range(3)]))
    with pytest.raises(DataError, match="train data ended.*3 batches"):
        made.step(5)
    assert made.iter == steps


@pytest.mark.parametrize("passes", [1, 3])
@pytest.mark.parametrize(
    ("batch", "problem"),
    [
        ({"data": np.ones((6, 10))}, "lack input 'label'"),
        ({"data": np.ones((6, 9)), "label": np.ones(6)}, "another shape"),
    ],
)
def test_data_that_do_not_fit(tmp_path: Path, batch: dict[str, Any], problem: str, passes: int) -> None:
    for data in ([batch], tf.data.Dataset.from_tensors(batch)):
        made = solver(tmp_path, f"iter_size: {passes}", train_data=data)
        with pytest.raises(DataError, match=f"^the train data .*{problem}"):
            made.step(1)


def test_a_data_set_of_tuples_without_names(tmp_path: Path) -> None:
    made = solver(tmp_path, train_data=tf.data.Dataset.from_tensors((np.ones((6, 10)), np.ones(6))))
    with pytest.raises(DataError, match="^the train data are not dictionaries; expected {blob: batch} of data, label"):
        made.step(1)


@pytest.mark.parametrize("passes", [1, 4])
def test_errors_in_users_data_come_through(tmp_path: Path, passes: int) -> None:
    def broken() -> Any:
        yield next(MLP.batches())
        raise RuntimeError("my own")

    made = solver(tmp_path, f"iter_size: {passes}", train_data=broken())
    with pytest.raises(RuntimeError, match="my own"):
        made.step(2)
