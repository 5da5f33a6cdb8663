"""Solvers whose batches, nets, precision or freezing are not the usual ones: Caffe's numbers, or a refusal by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_caffe
from keras_caffe import optimizers
from keras_caffe.cli import main
from keras_caffe.errors import CaffeError, DataError, NetError, ShapeError, SolverError
from keras_caffe.solver import Solver, load_solver

X, T = (np.random.default_rng(seed).normal(size=size).astype("float32") for seed, size in ((0, (4, 3)), (1, (4, 2))))
BATCHES = [{"x": X, "t": T}]
INPUTS = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 3 } } %s }
layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 4 dim: 2 } } }
"""
IP = """
layer { name: "%s" type: "InnerProduct" bottom: "x" top: "%s" %s inner_product_param { num_output: 2
  weight_filler { type: "xavier" } } }
"""
LOSS = 'layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "t" top: "loss" %s }'


def net(source: str = "", layer: str = "", loss: str = "") -> str:
    return INPUTS % source + IP % ("ip", "ip", layer) + LOSS % loss


def solver(net: str, more: str = "", rate: float = 0.1, data: Any = BATCHES, **options: Any) -> Solver:
    rule = f'base_lr: {rate} lr_policy: "fixed" random_seed: 1 max_iter: 10 {more}'
    return load_solver(f"{rule} net_param {{ {net} }}", train_data=data, data_format="channels_first", **options)


def weights(of: Solver, layer: str = "ip") -> np.ndarray:
    return np.asarray(of.model.caffe_layers[layer].get_weights()[0])


SAVED = 'snapshot_prefix: "%s/s" snapshot_after_train: false'
TWO = [{"x": X, "t": T[:2]}]
ONE = tf.data.Dataset.from_generator(
    lambda: iter([{"x": X, "t": T[:1]}]),
    output_signature={"x": tf.TensorSpec((None, 3)), "t": tf.TensorSpec((None, 2))},
)


@pytest.mark.parametrize("data", [[{"x": X, "t": T[:1]}], TWO, ONE], ids=["one label", "two labels", "of tf.data"])
def test_batches_that_do_not_fit_are_refused(data: Any) -> None:
    with pytest.raises(ShapeError, match="the inputs do not fit each other"):
        solver(net(), data=data).step(1)
    with pytest.raises(ShapeError, match="the inputs do not fit each other"):
        solver(net(), data=data).fit(verbose=0)


def test_data_without_a_batch_are_refused() -> None:
    empty = tf.data.Dataset.from_tensor_slices(BATCHES[0]).batch(32, drop_remainder=True)
    for run in (lambda s: s.step(1), lambda s: s.fit(verbose=0)):
        with pytest.raises(DataError, match="the train data ended"):
            run(solver(net(), data=empty))


def test_half_precision_scales_the_loss() -> None:
    exact, half = (
        solver(net(loss="loss_weight: 1e-8"), rate=1000, dtype=dtype) for dtype in ("float32", "mixed_float16")
    )
    before = weights(half)
    for each in (exact, half):
        each.step(1)
    assert np.abs(weights(half) - before).max() > 0
    np.testing.assert_allclose(weights(half) - before, weights(exact) - before, rtol=0.02, atol=1e-8)


def test_a_skipped_update_counts_as_an_iteration() -> None:
    half = solver(net(), rate=1e-7, data=[{"x": X * 60, "t": T}], dtype="mixed_float16")
    half.step(4)
    assert int(half.optimizer.iterations) == half.iter == 4


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_whole_precisions(dtype: str) -> None:
    wanted = solver(net()).step(2)
    np.testing.assert_allclose(solver(net(), dtype=dtype).step(2), wanted, rtol=1e-2 if dtype == "float16" else 1e-5)


def test_what_is_frozen_later_stays() -> None:
    frozen = solver(net(), more="momentum: 0.9 weight_decay: 0.1")
    frozen.step(2)
    before = weights(frozen)
    frozen.model.caffe_layers["ip"].trainable = False
    frozen.step(1)
    np.testing.assert_array_equal(weights(frozen), before)
    frozen.model.caffe_layers["ip"].trainable = True
    frozen.step(1)
    assert np.abs(weights(frozen) - before).max() > 0


def test_one_stage_may_be_given_as_a_string() -> None:
    text = (
        INPUTS % "" + IP % ("one", "ip", 'include { not_stage: "ab" }') + IP % ("two", "ip", 'include { stage: "ab" }')
    )
    assert "two" in solver(text + LOSS % "", stages="ab").model.caffe_layers
    with pytest.raises(NetError, match="the level or the stages are of the wrong kind"):
        solver(text + LOSS % "", stages=5)


TEST = "test_iter: 1 test_interval: 1 test_compute_loss: true display: 1 test_net_param { %s }"


def test_blobs_that_others_read_count_in_the_loss_of_tests(capsys: pytest.CaptureFixture[str]) -> None:
    text = net(layer="loss_weight: 1")
    both = solver(text, more=TEST % text, test_data=BATCHES)
    (loss,) = both.step(1)
    assert f"Test loss: {loss:.6g}" in capsys.readouterr().out


def test_no_test_iterations_score_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    both = solver(net(), more=(TEST % net()).replace("test_iter: 1", "test_iter: 0"), test_data=BATCHES)
    assert both.step(1) == solver(net()).step(1)
    assert both.scores == [{}]
    assert "Test loss: nan" in capsys.readouterr().out


def test_a_loss_weight_on_an_input() -> None:
    plain, weighted = solver(net()).step(1)[0], solver(net(source="loss_weight: 2")).step(1)[0]
    assert weighted == pytest.approx(plain + 2 * X.sum(), rel=1e-5)


def test_test_nets_have_the_trained_values_of_layers_that_share_among_themselves() -> None:
    shared = 'param { name: "w" } param { name: "b" }'
    text = INPUTS % "" + IP % ("early", "early", shared) + IP % ("ip", "ip", shared) + LOSS % ""
    both = solver(net(layer=shared), more=TEST % text, test_data=BATCHES)
    both.step(3)
    (test,) = both.test_models
    np.testing.assert_array_equal(test.caffe_layers["ip"].get_weights()[0], weights(both))
    assert np.abs(test.caffe_layers["early"].get_weights()[0] - weights(both)).max() > 0  # Caffe shares by layer name


def test_defaults_go_with_tensors() -> None:
    filled = "dummy_data_param { shape { dim: 4 dim: 3 } data_filler { value: 2 } }"
    text = f'layer {{ name: "q" type: "DummyData" top: "q" {filled} }}'
    text += INPUTS % "" + 'layer { name: "sum" type: "Eltwise" bottom: "x" bottom: "q" top: "sum" }'
    model = keras_caffe.load(text, data_format="channels_first").extract(["sum"])
    for got in (
        model({"x": X}),
        model({"x": tf.constant(X)}),
        model.predict({"x": X}, verbose=0),
        model.predict_on_batch({"x": X}),
    ):
        np.testing.assert_allclose(got["sum"] if isinstance(got, dict) else got, X + 2, rtol=1e-6)


def test_a_resumed_run_tests_on_the_batches_that_come_next(tmp_path: Path) -> None:
    tests = [{"x": X + n, "t": T} for n in range(3)]
    more = f'test_iter: 2 test_interval: 1 snapshot_prefix: "{tmp_path}/s" test_net_param {{ {net()} }}'
    one, other = (solver(net(), more=more, test_data=tests) for _ in range(2))
    one.step(2)
    _, state = one.snapshot()
    other.restore(state)
    assert one.step(1) == other.step(1)
    assert one.scores == other.scores


class Fails(keras.callbacks.Callback):
    """Ends a run after some iterations, as a machine that is switched off does."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.model.optimizer.iterations == 25:
            raise InterruptedError("switched off")


DROPOUT = 'layer { name: "drop" type: "Dropout" bottom: "ip" top: "ip" }'


@pytest.mark.parametrize("every", ["epoch", 4])
def test_keras_backups_go_on_where_the_run_was(every: Any, tmp_path: Path) -> None:
    """The run's own data, tests, rate and random numbers, as if it had not been broken off."""
    batches = [{"x": X + n, "t": T} for n in range(7)]
    text = INPUTS % "" + IP % ("ip", "ip", "") + DROPOUT + LOSS % ""
    more = f'momentum: 0.9 lr_policy: "step" stepsize: 15 gamma: 0.5 test_iter: 2 test_interval: 10 {SAVED % tmp_path}'

    def run(*callbacks: Any) -> Solver:
        made = load_solver(
            f"base_lr: 0.01 random_seed: 1 max_iter: 40 {more} net_param {{ {text} }}",
            train_data=batches,
            test_data=batches,
        )
        made.fit(verbose=0, callbacks=callbacks)
        return made

    def backup() -> Any:
        return keras.callbacks.BackupAndRestore(str(tmp_path / "backup"), save_freq=every)

    with pytest.raises(InterruptedError, match="switched off"):
        run(backup(), Fails())
    whole, resumed = run(), run(backup())
    assert resumed.iter == 40
    assert resumed.scores == whole.scores
    np.testing.assert_array_equal(weights(resumed), weights(whole))


def test_keras_backups_of_what_they_do_not_hold_are_refused(tmp_path: Path) -> None:
    def run(*callbacks: Any) -> None:
        rule = f'base_lr: 0.01 lr_policy: "plateau" gamma: 0.5 plateau_winsize: 3 max_iter: 40 {SAVED % tmp_path}'
        made = load_solver(f"{rule} net_param {{ {net()} }}", train_data=BATCHES, data_format="channels_first")
        made.fit(verbose=0, callbacks=[keras.callbacks.BackupAndRestore(str(tmp_path / "b"), save_freq=4), *callbacks])

    with pytest.raises(InterruptedError, match="switched off"):
        run(Fails())
    with pytest.raises(SolverError, match="went on from iteration 24, and the solver cannot follow"):
        run()


def test_keras_arguments_that_caffe_has_not_are_refused() -> None:
    for name in ("clipnorm", "clipvalue", "global_clipnorm"):
        with pytest.raises(SolverError, match=f"Caffe's optimizers have no {name}"):
            optimizers.SGD(1.0, **{name: 0.1})
    with pytest.raises(SolverError, match="take what does not decay as multipliers"):
        optimizers.SGD(1.0, weight_decay=0.5).exclude_from_weight_decay(var_names=["bias"])


def step(of: Solver) -> None:
    of.step(1)


def fit(of: Solver) -> None:
    of.fit(verbose=0)


@pytest.mark.parametrize("run", [step, fit])
@pytest.mark.parametrize("request_", ["stop", "snapshot"])
def test_signals_during_tests(request_: str, run: Any, tmp_path: Path) -> None:
    """Caffe stops before the iteration, and writes the snapshot of the iterations that are done."""
    more = f'test_iter: 2 test_interval: 1 snapshot_prefix: "{tmp_path}/s" test_net_param {{ {net()} }}'
    asked: list[Solver] = []

    def batches() -> Any:
        while True:
            if asked:
                asked.pop().request = request_
            yield BATCHES[0]

    both = solver(net(), more=more, test_data=batches())
    asked.append(both)
    run(both)
    assert (both.iter > 0) == (request_ == "snapshot")
    assert (tmp_path / "s_iter_0.caffemodel").exists() == (request_ == "snapshot" or run is fit)


def test_a_snapshot_needs_no_weights_of_the_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command clears them where it goes on from one, as Caffe's does."""
    seen: dict[str, Any] = {}

    def loading(file: str, **options: Any) -> Any:
        seen.update(options)
        raise CaffeError("enough")

    monkeypatch.setattr("keras_caffe.solver.load_solver", loading)
    assert main(["train", "--solver", "solver.prototxt", "--snapshot", "s.solverstate"]) == 1
    assert seen["weights"] == []
