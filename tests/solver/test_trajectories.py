"""Training as real Caffe trained: type, policy and options of every golden run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.solver.golden_solver import NAMES, RECORDED, SOLVERS, Run, check_history, close, params

pytestmark = pytest.mark.filterwarnings("ignore::keras_caffe.CaffeWarning")

# The bias before BatchNorm has a true gradient of zero there, and Adam divides noise by noise.
NOISY = {"x_adam_convbn_wd": "conv1/1"}


@pytest.mark.parametrize("name", NAMES)
def test_trajectory(name: str, tmp_path: Path) -> None:
    run = Run(name, SOLVERS / f"{name}.npz")
    solver = run.solver(tmp_path)
    losses, rates, done = [], [], 0
    for iteration in RECORDED:
        for _ in range(iteration - done):
            rates.append(solver.lr)
            losses += solver.step(1)
        done = iteration
        check_params(run, solver, iteration)
    assert solver.iter == 50
    np.testing.assert_allclose(rates, run.arrays["lr"], rtol=2e-6, atol=1e-12)
    sens = run.arrays["sens_loss"].reshape(50, -1).max(1)
    early = 5 if name in NOISY else 50
    close(losses[:early], run.arrays["loss"][:early], sens[:early], "loss")
    if name not in NOISY:
        check_history(run, solver)
        scores = solver.test()[0]
        for blob, want in run.group("test").items():
            close(scores[blob], want, max(1e-6, sens[-1]), f"test {blob}")


def check_params(run: Run, solver: object, iteration: int) -> None:
    found, sens = params(solver), run.group(f"sens/{iteration}")
    for key, want in run.group(f"p/{iteration}").items():
        if run.name in NOISY and (key == NOISY[run.name] or iteration > 5):
            continue
        close(found[key], want, sens.get(key, 0), f"{key} after iteration {iteration}")


@pytest.mark.parametrize("name", ["sgd_poly_convbn", "nesterov_exp_multi", "x_sgd_siam_iter2_clip", "rmsprop_step_mlp"])
def test_gradients(name: str, tmp_path: Path) -> None:
    """The sums over iter_size, before they are clipped, divided and regularised."""
    run = Run(name, SOLVERS / f"{name}.npz")
    solver = run.solver(tmp_path)
    batches = run.batches()
    taken = [next(batches) for _ in range(solver.param.iter_size)]
    _, _, gradients = solver.model.accumulate(taken)
    found = dict(zip([v.path for v in solver.model.updates.variables], gradients, strict=True))
    for param in solver.params:
        want = run.arrays[f"grad/1/{param}"]
        gradient = found.get(param.variable.path)
        got = np.zeros_like(want) if gradient is None else param.bound.blob.to_caffe(np.asarray(gradient))
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6, err_msg=str(param))
