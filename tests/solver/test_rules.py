"""Rules of Caffe's loop that no golden run has: the last forward pass, snapshot_diff, plateau's state, smoothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from keras_caffe import proto
from keras_caffe.errors import CaffeWarning
from keras_caffe.solver import Solver, load_solver
from keras_caffe.solver.state import read_state

NET = """
layer { name: "in" type: "Input" top: "data" top: "label"
        input_param { shape { dim: 4 dim: 6 } shape { dim: 4 } } }
layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" param { name: "w" } param { decay_mult: 0 }
        inner_product_param { num_output: 6 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "a" top: "bn" batch_norm_param { moving_average_fraction: 0.9 } }
layer { name: "b" type: "InnerProduct" bottom: "bn" top: "b" param { name: "w" }
        inner_product_param { num_output: 6 bias_term: false } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "b" bottom: "label" top: "loss" loss_weight: 3 }
"""


def batches(count: int = 5) -> list[dict[str, np.ndarray]]:
    random = np.random.default_rng(0)
    return [
        {"data": random.normal(size=(4, 6)).astype("float32"), "label": random.integers(0, 6, 4).astype("float32")}
        for _ in range(count)
    ]


def solver(folder: Path, text: str = "", **arguments: Any) -> Solver:
    (folder / "net.prototxt").write_text(NET)
    base = "" if "lr_policy" in text else 'lr_policy: "fixed" '
    (folder / "solver.prototxt").write_text(
        f'net: "net.prototxt" base_lr: 0.1 max_iter: 6 random_seed: 1 snapshot_prefix: "s" {base}{text}'
    )
    return load_solver(folder / "solver.prototxt", **{"train_data": batches(), "test_data": batches(), **arguments})


def statistics(made: Solver) -> np.ndarray:
    return made.model.get_caffe_params()["bn"][0]


@pytest.mark.parametrize(("display", "passes"), [(0, 6), (4, 6), (3, 7)])
def test_last_line_takes_one_more_forward_pass(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], display: int, passes: int
) -> None:
    """Statistics move with it before the last test, parameters do not."""
    made, plain = (solver(tmp_path, f"display: {d} test_iter: 1 test_interval: 6") for d in (display, 0))
    made.fit(verbose=0)
    assert made.model.get_caffe_params()["bn"][2][0] == pytest.approx(sum(0.9**i for i in range(passes)))
    last = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Iteration 6, loss")]
    assert len(last) == (passes == 7)
    plain.step(6)
    plain.snapshot()
    if passes == 7:
        plain.model.loss_of(plain._train.iterator)
    np.testing.assert_array_equal(statistics(made), statistics(plain))
    assert made.scores["loss"] == plain.test()["loss"]


def test_snapshot_comes_before_the_last_forward_pass(tmp_path: Path) -> None:
    made = solver(tmp_path, "display: 3 snapshot_format: HDF5")
    made.fit(verbose=0)
    with h5py.File(tmp_path / "s_iter_6.caffemodel.h5") as file:
        assert file["data/bn/2"][0] == pytest.approx(sum(0.9**i for i in range(6)))


def test_no_batch_is_lost_between_calls(tmp_path: Path) -> None:
    whole, parts = solver(tmp_path, "snapshot_after_train: false"), solver(tmp_path, "snapshot_after_train: false")
    losses = whole.step(9)
    history = parts.fit(verbose=0).history["loss"]
    assert history == pytest.approx([np.mean(losses[:6])])
    assert parts.step(3) == losses[6:]


def test_data_that_end_with_the_last_iteration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = solver(tmp_path, "display: 3", train_data=iter(batches(6)))
    made.fit(verbose=0)
    assert "Iteration 6, loss = " in capsys.readouterr().out


def test_lines_show_outputs_without_their_weight(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loss = solver(tmp_path, "display: 1").step(1)[0]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(f"loss = {loss:.6g}")
    assert lines[1] == f"    Train net output #0: loss = {loss / 3:.6g} (* 3 = {loss:.6g} loss)"


def test_smoothing_begins_anew_with_each_call(tmp_path: Path) -> None:
    made = solver(tmp_path, "average_loss: 3")
    made.step(2)
    loss = made.step(1)[0]
    assert made.display.smoothed_loss == pytest.approx(loss)


@pytest.mark.parametrize("kind", ["BINARYPROTO", "HDF5"])
@pytest.mark.parametrize("method", ['type: "SGD" momentum: 0.9', 'type: "Adam" momentum: 0.9 iter_size: 2'])
def test_snapshot_diff(tmp_path: Path, kind: str, method: str) -> None:
    """Caffe's diffs hold what the last update took; HDF5 files have them also where a blob is another layer's."""
    made = solver(tmp_path, f"snapshot_diff: true snapshot_format: {kind} weight_decay: 0.01 {method}")
    made.step(2)
    before = made.model.get_caffe_params()
    made.step(1)
    after = made.model.get_caffe_params()
    path = made.snapshot()[0]
    diffs = _diffs(path)
    assert set(diffs) == {"a/0", "a/1", "b/0", "bn/0", "bn/1", "bn/2"}
    for name, found in diffs.items():
        layer, index = name.split("/")
        want = np.ravel(before[layer][int(index)] - after[layer][int(index)]) if layer != "bn" else 0
        np.testing.assert_array_equal(found, want, err_msg=name)
    assert np.abs(diffs["a/0"]).min() > 0


def _diffs(path: str) -> dict[str, np.ndarray]:
    if path.endswith(".h5"):
        with h5py.File(path) as file:
            assert "0" not in file["data/b"]
            return {f"{n}/{i}": np.ravel(d[()]) for n, layer in file["diff"].items() for i, d in layer.items()}
    net = proto.NetParameter.FromString(Path(path).read_bytes())
    return {f"{x.name}/{i}": np.array(b.diff, "float32") for x in net.layer for i, b in enumerate(x.blobs)}


@pytest.mark.parametrize("kind", ["BINARYPROTO", "HDF5"])
def test_plateau_goes_on_where_it_was(tmp_path: Path, kind: str) -> None:
    """SSD's states hold the least loss and the iteration of the last event."""
    text = f'lr_policy: "plateau" gamma: 0.5 plateau_winsize: 1 plateau_winsize: 2 snapshot_format: {kind}'
    whole, first = solver(tmp_path, text), solver(tmp_path, text)
    losses, before = whole.step(9), first.step(4)
    state = read_state(first.snapshot()[1])
    assert state.minimum_loss == min(before)
    assert state.iter_last_event >= before.index(min(before))
    second = solver(tmp_path, text)
    second.restore(tmp_path / f"s_iter_4.solverstate{'.h5' if kind == 'HDF5' else ''}")
    assert second.step(5) == losses[4:]
    assert second.policy.state() == whole.policy.state()
    assert second.lr == whole.lr < 0.1


def test_other_policies_write_no_fields_of_ssd(tmp_path: Path) -> None:
    state = proto.SolverState.FromString(Path(solver(tmp_path).snapshot()[1]).read_bytes())
    assert not state.HasField("minimum_loss") and not state.HasField("iter_last_event")


def test_stop_while_test_nets_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = solver(tmp_path, "test_iter: 1000000 test_interval: 3", test_data=batches())
    seen = iter(range(10**9))
    data = made.test_data[0]

    class Asking(list):
        def __iter__(self) -> Any:
            for batch in data:
                if next(seen) == 7:
                    made.request = "stop"
                yield batch

    made._tests[0].data = Asking(data)
    assert made.step(5) == []
    assert made.scores is None
    assert "Test interrupted." in capsys.readouterr().out


DRAWN = """
layer { name: "in" type: "DummyData" top: "data" top: "label" dummy_data_param {
        shape { dim: 4 dim: 6 } shape { dim: 4 }
        data_filler { type: "%s" %s } data_filler { type: "constant" value: 1 } } }
layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" inner_product_param { num_output: 3
        weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "a" bottom: "label" top: "loss" }
"""


@pytest.mark.parametrize("filler", [("gaussian", "std: 1"), ("constant", "value: 2")])
def test_nets_that_fill_their_blobs_themselves(tmp_path: Path, filler: tuple[str, str]) -> None:
    """DummyData draws anew for every batch, unless its fillers are constant."""
    (tmp_path / "net.prototxt").write_text(DRAWN % filler)
    (tmp_path / "solver.prototxt").write_text(
        'net: "net.prototxt" lr_policy: "fixed" base_lr: 0 max_iter: 4 random_seed: 3 test_iter: 2 test_interval: 4'
    )
    made = load_solver(tmp_path / "solver.prototxt")
    losses = made.step(4)
    assert len(set(losses)) == (4 if filler[0] == "gaussian" else 1)
    assert made.test()["loss"] == pytest.approx(np.mean(losses), abs=1.5)


def test_the_loss_of_a_test_net(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = solver(tmp_path, "display: 1 test_iter: 1 test_interval: 3 test_compute_loss: true")
    made.step(1)
    assert f"Test loss: {3 * made.scores['loss']:.6g}" in capsys.readouterr().out.splitlines()


def test_debug_info_is_not_silently_ignored(tmp_path: Path) -> None:
    with pytest.warns(CaffeWarning, match="debug_info"):
        solver(tmp_path, "debug_info: true")


EMBED = """
layer { name: "i" type: "Input" top: "i" input_param { shape { dim: 4 } } }
layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 4 dim: 2 } } }
layer { name: "e" type: "Embed" bottom: "i" top: "e" embed_param { num_output: 2 input_dim: 5 } }
layer { name: "l" type: "EuclideanLoss" bottom: "e" bottom: "t" top: "l" }
"""


@pytest.mark.parametrize("passes", [1, 2])
def test_an_index_that_repeats_in_a_batch(passes: int) -> None:
    """Its gradients are added up before they are clipped, and over iter_size passes; clipping comes before the mean."""
    text = f'net_param {{ {EMBED} }} base_lr: 1 lr_policy: "fixed" clip_gradients: 0.1 iter_size: {passes}'
    batch = {"i": np.array([0, 1, 1, 4], "float32"), "t": np.ones((4, 2), "float32")}
    made = load_solver(text, train_data=[batch])
    made.step(1)
    weights, bias = made.model.get_caffe_params()["e"]
    want = np.array([0.015076, 0.030151, 0, 0, 0.015076]) / passes
    np.testing.assert_allclose(weights, np.stack([want, want], axis=1), rtol=1e-4)
    np.testing.assert_allclose(bias, np.full(2, 0.060302) / passes, rtol=1e-4)
