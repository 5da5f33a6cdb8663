"""Real Caffe's own snapshots, continued; ours, written and read."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from keras_caffe import proto
from keras_caffe.converters.read_weights import read_weights
from keras_caffe.errors import CaffeError, ReadError, SolverError, WeightsError
from keras_caffe.solver import Solver, load_solver
from keras_caffe.solver.state import State, read_state, write_state
from tests.solver import digits
from tests.solver.golden_solver import FORMAT, SOLVERS, Run, by_layer, close, params

CASES = sorted(path.name for path in (SOLVERS / "resume").iterdir())
NOISE = 3e-6  # what the goldens' sens is at most for these three nets
# A bias before BatchNorm: its true gradient is 0, and Adam divides noise by noise. The stored mean moves with it.
NOISY = {"adam_inv_convbn": ("conv1/1", "bn1/0"), "adam_inv_convbn_h5": ("conv1/1", "bn1/0")}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a case's folder, which is the working directory."""
    folder = tmp_path / request.param
    shutil.copytree(SOLVERS / "resume" / request.param, folder)
    monkeypatch.chdir(folder)
    return folder


def state_of(folder: Path) -> Path:
    return next(folder.glob("snap_iter_15.solverstate*"))


def run_of(folder: Path) -> Run:
    run = Run(folder.name, folder / "resume.npz")
    run.meta.setdefault("net_prototxt", (folder / "net.prototxt").read_text())
    return run


def solver_of(folder: Path, run: Run) -> Solver:
    data = {"train_data": list_of(run), "test_data": list_of(run)}
    return load_solver("solver.prototxt", data_format=FORMAT, **data)


def list_of(run: Run) -> list:
    batches = run.batches()
    return [next(batches) for _ in range(len(next(iter(run.group("pool").values()))))]


def test_continues_caffes_snapshot(case: Path) -> None:
    run = run_of(case)
    solver = solver_of(case, run)
    solver.restore(state_of(case))
    assert solver.iter == int(run.meta.get("iter_after_restore", 15)) == 15
    for key, want in run.group("restored").items():
        np.testing.assert_array_equal(params(solver)[key], want, err_msg=key)
    done, losses, rates = 0, [], []
    for iteration in (1, 2, 5, 10, 20):
        for _ in range(iteration - done):
            rates.append(solver.lr)
            losses += solver.step(1)
        done = iteration
        for key, want in run.group(f"q/{iteration}").items():
            if key in NOISY.get(run.name, ()):
                continue
            close(params(solver)[key], want, NOISE, f"{key} {iteration} iterations later")
    close(rates, run.arrays["lr2"], 0, "rates")
    close(losses, run.arrays["loss2"].reshape(len(losses), -1).mean(1), NOISE, "losses")


def test_snapshot_has_caffes_structure(case: Path, tmp_path: Path) -> None:
    """The files that we write of a restored state hold what Caffe's hold, byte for byte in the values."""
    solver = solver_of(case, run_of(case))
    solver.restore(state_of(case))
    original = {path.name: path.rename(tmp_path / path.name) for path in case.glob("snap_iter_15.*")}
    solver.param.snapshot_format = solver.param.HDF5 if "h5" in str(list(original)) else solver.param.BINARYPROTO
    written = [Path(name) for name in solver.snapshot()]
    assert {path.name for path in written} == set(original)
    for path in written:
        same = same_hdf5 if path.suffix == ".h5" else same_state if "state" in path.name else same_model
        same(path, original[path.name])


def same_hdf5(ours: Path, theirs: Path) -> None:
    with h5py.File(ours) as a, h5py.File(theirs) as b:
        names: dict[str, list[str]] = {"a": [], "b": []}
        a.visit(names["a"].append)
        b.visit(names["b"].append)
        assert names["a"] == names["b"]
        for name in names["b"]:
            if isinstance(b[name], h5py.Dataset):
                assert a[name].shape == b[name].shape, name
                assert a[name].dtype == b[name].dtype, name
                np.testing.assert_array_equal(a[name][()], b[name][()], err_msg=name)


def same_state(ours: Path, theirs: Path) -> None:
    a, b = (proto.SolverState.FromString(path.read_bytes()) for path in (ours, theirs))
    assert a == b
    assert ours.read_bytes() == theirs.read_bytes()


def same_model(ours: Path, theirs: Path) -> None:
    a, b = (proto.NetParameter.FromString(path.read_bytes()) for path in (ours, theirs))
    assert a == b
    for x, y in zip(read_weights(ours), read_weights(theirs), strict=True):
        for mine, caffes in zip(x.blobs, y.blobs, strict=True):
            np.testing.assert_array_equal(mine.array, caffes.array)


def test_own_snapshot_is_bit_identical(case: Path) -> None:
    run = run_of(case)
    first = solver_of(case, run)
    first.model.set_caffe_params(by_layer(run.group("init")))
    first.step(7)
    _, state = first.snapshot()
    first.step(5)
    second = solver_of(case, run)
    second.restore(state)
    assert second.iter == 7
    second.step(5)
    for key, want in params(first).items():
        np.testing.assert_array_equal(params(second)[key], want, err_msg=key)
    for mine, want in zip(second.history.get(), first.history.get(), strict=True):
        np.testing.assert_array_equal(mine, want)


def small(folder: Path, **fields: object) -> Solver:
    run = Run("x_sgd_plain", SOLVERS / "x_sgd_plain.npz")
    solver = run.solver(folder)
    for name, value in fields.items():
        setattr(solver.param, name, value)
    return solver


def test_state_of_another_net_changes_nothing(tmp_path: Path) -> None:
    solver = small(tmp_path)
    solver.step(2)
    before = params(solver)
    for name in CASES:
        if "mlp" in name:
            continue
        with pytest.raises(WeightsError, match="histor"):
            solver.restore(state_of(SOLVERS / "resume" / name))
    assert solver.iter == 2
    for key, want in before.items():
        np.testing.assert_array_equal(params(solver)[key], want)


def test_state_without_its_parameters(tmp_path: Path) -> None:
    solver = small(tmp_path)
    solver.step(1)
    model, state = solver.snapshot()
    Path(model).unlink()
    solver.step(1)
    with pytest.raises(ReadError, match="no such file"):
        solver.restore(state)
    assert solver.iter == 2


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize(("hdf5", "reason"), [(False, "needs .* bytes, .* are left"), (True, "truncated file")])
def test_cut_off_states_are_refused(tmp_path: Path, cut: float, hdf5: bool, reason: str) -> None:
    solver = small(tmp_path, snapshot_format=int(not hdf5))
    solver.step(1)
    _, state = solver.snapshot()
    data = Path(state).read_bytes()
    Path(state).write_bytes(data[: int(cut * len(data))])
    with pytest.raises(CaffeError, match=reason):
        solver.restore(state)


def test_what_is_no_state(tmp_path: Path) -> None:
    solver = small(tmp_path)
    for name, content, reason in (
        ("a.solverstate", b"hello", "not a solver's state; .* received a text file"),
        ("b.solverstate", b"", "the file is empty"),
        ("c.solverstate.h5", b"\x89HDF", "not a solver's state in HDF5"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CaffeError, match=reason):
            solver.restore(tmp_path / name)
    with pytest.raises(ReadError, match="absent.solverstate: there is no such file"):
        solver.restore(tmp_path / "absent.solverstate")
    with pytest.raises(ReadError, match="trained values, not a solver's state.*weights="):
        solver.restore(solver.snapshot()[0])


def test_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    solver = small(tmp_path)
    solver.step(1)
    _, state = solver.snapshot()
    before, names = read_state(state), sorted(path.name for path in tmp_path.iterdir())
    solver.step(1)
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(SolverError, match="No space left on device"):
            solver.snapshot()
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert read_state(state).iteration == before.iteration == 1
    solver.step(1)
    assert solver.iter == 3
    solver.snapshot()


def full(descriptor: int) -> None:
    raise OSError(28, "No space left on device")


def test_iterators_go_on_where_they_are(tmp_path: Path) -> None:
    solver = small(tmp_path)
    whole = solver.step(6)
    again = small(tmp_path)
    again.step(3)
    _, state = again.snapshot()
    third = Run("x_sgd_plain", SOLVERS / "x_sgd_plain.npz")
    resumed = third.solver(tmp_path, train_data=third.batches(3))
    resumed.restore(state)
    assert resumed.step(3) == whole[3:]


def test_dropout_draws_what_it_would_have_drawn(tmp_path: Path) -> None:
    dropout = 'layer { name: "drop" type: "Dropout" bottom: "conv1" top: "conv1" }'
    net = digits.NET.replace('layer { name: "ip2"', dropout + '\nlayer { name: "ip2"')
    path = digits.write(tmp_path, net=net)
    whole, again = load_solver(path), load_solver(path)
    losses = whole.step(3)
    _, state = whole.snapshot()
    losses += whole.step(4)
    again.restore(state)
    assert again.step(4) == losses[3:]
    for key, want in params(whole).items():
        np.testing.assert_array_equal(params(again)[key], want, err_msg=key)


def test_plateau_is_taken_up_again(tmp_path: Path) -> None:
    path = digits.write(tmp_path)
    text = (
        path.read_text()
        .replace('"step"', '"plateau"')
        .replace("stepsize: 9", "plateau_winsize: 1 plateau_winsize: 900")
    )
    path.write_text(text.replace("gamma: 0.5", "gamma: 0.1"))
    solver, again = load_solver(path), load_solver(path)
    while solver.policy.current_step(solver.iter) == 0:
        solver.step(1)
    assert solver.lr == pytest.approx(0.0001)
    _, state = solver.snapshot()
    assert read_state(state).current_step == 1
    again.restore(state)
    assert again.lr == pytest.approx(0.0001)
    again.step(2)


@pytest.mark.parametrize("hdf5", [False, True])
def test_damaged_states_are_refused_or_read(tmp_path: Path, hdf5: bool) -> None:
    path = tmp_path / ("a.solverstate.h5" if hdf5 else "a.solverstate")
    history = [np.ones((3, 4), "float32"), np.ones(7, "float32")]
    write_state(path, State(5, "a_iter_5.caffemodel", 1, history=history))
    whole, chosen, refused = path.read_bytes(), random.Random(6), 0
    used = [place for place, byte in enumerate(whole) if byte]
    for _ in range(200):
        data = bytearray(whole)
        for place in chosen.sample(used, chosen.choice([1, 3, 20])):
            data[place] = chosen.choice([0, 1, 127, 128, 255])
        path.write_bytes(data)
        try:
            read_state(path)
        except CaffeError:
            refused += 1
    assert refused >= 50


def test_a_name_of_parameters_with_a_zero_byte_is_refused(tmp_path: Path) -> None:
    write_state(tmp_path / "a.solverstate", State(5, "a\0b.caffemodel"))
    write_state(tmp_path / "a.solverstate.h5", State(5, "a\0b.caffemodel"))
    for name in ("a.solverstate", "a.solverstate.h5"):
        with pytest.raises(ReadError, match=f"{name}: learned_net is not a file name"):
            read_state(tmp_path / name)


@pytest.mark.parametrize("name", ["x" * 5000, "absent/x", "absent"])
def test_a_name_of_parameters_that_cannot_be_a_file(tmp_path: Path, name: str) -> None:
    solver = small(tmp_path)
    solver.step(1)
    _, path = solver.snapshot()
    state = read_state(path)
    write_state(path, State(state.iteration, name, state.current_step, history=state.history))
    with pytest.raises(ReadError, match="no such file"):
        solver.restore(path)
