"""Learning rate policies as Keras schedules."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import pytest

from keras_caffe import optimizers

POLICIES: dict[str, tuple[Any, Any]] = {
    "Fixed": (optimizers.Fixed(0.5), lambda i: 0.5),
    "Step": (optimizers.Step(0.5, 0.3, 4), lambda i: 0.5 * 0.3 ** (i // 4)),
    "Exp": (optimizers.Exp(0.5, 0.9), lambda i: 0.5 * 0.9**i),
    "Inv": (optimizers.Inv(0.5, 0.1, 0.75), lambda i: 0.5 * (1 + 0.1 * i) ** -0.75),
    "MultiStep": (optimizers.MultiStep(0.5, 0.3, [3, 7, 30]), lambda i: 0.5 * 0.3 ** sum(i >= s for s in (3, 7, 30))),
    "Poly": (optimizers.Poly(0.5, 2.0, 50), lambda i: 0.5 * (1 - i / 50) ** 2),
    "Sigmoid": (optimizers.Sigmoid(0.5, 0.2, 10), lambda i: 0.5 / (1 + math.exp(-0.2 * (i - 10)))),
}


@pytest.mark.parametrize("name", POLICIES)
def test_rates(name: str) -> None:
    policy, formula = POLICIES[name]
    np.testing.assert_allclose([float(policy(i)) for i in range(40)], [formula(i) for i in range(40)], rtol=2e-6)


@pytest.mark.parametrize("name", POLICIES)
def test_config(name: str) -> None:
    policy, _ = POLICIES[name]
    schedules = keras.optimizers.schedules
    again = schedules.deserialize(schedules.serialize(policy))
    assert float(again(17)) == float(policy(17))


def test_multistep_takes_one_step_an_iteration() -> None:
    policy = optimizers.MultiStep(1.0, 0.5, [2, 2, 0, 9])
    assert [policy.current_step(i + 1) for i in range(11)] == [0, 0, 1, 2, 3, 3, 3, 3, 3, 4, 4]
    assert [float(policy(i)) for i in range(6)] == [1, 1, 0.5, 0.25, 0.125, 0.125]


def test_multistep_goes_on_from_a_stored_step() -> None:
    policy = optimizers.MultiStep(1.0, 0.5, [2, 4, 20])
    assert policy.restore(10, 0)  # a snapshot of a run with other stepvalues
    assert [float(policy(i)) for i in range(10, 14)] == [0.5, 0.25, 0.25, 0.25]
    assert policy.current_step(12) == 2


def test_step_is_stored_as_of_the_last_iteration() -> None:
    policy = optimizers.Step(1.0, 0.5, 7)
    assert [policy.current_step(i) for i in (0, 7, 8, 50)] == [0, 0, 1, 7]


def test_plateau_waits_for_the_loss() -> None:
    policy = optimizers.Plateau(1.0, 0.1, [2, 3])
    rates = []
    for iteration, loss in enumerate([5, 4, 4, 4, 4, 4, 3, 3, 3, 3, 3, 3, 3]):
        policy.observe(loss, iteration)
        rates.append(round(float(policy(iteration)), 6))
    # The minimum is new at 1: one step at 3; new again at 6: the next step at 9; there is no third window.
    assert rates == [1, 1, 1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01]
    assert policy.current_step(13) == 2


def test_plateau_smooths_the_loss() -> None:
    policy = optimizers.Plateau(1.0, 0.1, [1], average_loss=2)
    for iteration, (loss, rate) in enumerate([(4, 1), (2, 1), (3, 1), (3, 0.1)]):
        policy.observe(loss, iteration)
        assert float(policy(iteration)) == pytest.approx(rate), iteration
