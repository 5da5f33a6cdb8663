"""Caffe's learning rate policies as Keras schedules (SGDSolver::GetLearningRate in sgd_solver.cpp).

`iteration` counts from 0, and float32 is computed in, as in Caffe.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe._keras import LearningRateSchedule
from keras_caffe.errors import SolverError
from keras_caffe.layers.arguments import number, whole, wholes
from keras_caffe.layers.serializable import serializable_as


class Policy(LearningRateSchedule):
    """Base of the policies.

    Args:
        base_lr: the rate that the policy multiplies.

    Raises:
        SolverError: base_lr is no number.
    """

    def __init__(self, base_lr: float) -> None:
        self.base_lr: float = number("base_lr", base_lr, error=SolverError)

    def factor(self, iteration: Any) -> Any:
        """What base_lr is multiplied by."""
        raise NotImplementedError

    def __call__(self, step: Any) -> Any:
        return self.base_lr * self.factor(ops.convert_to_tensor(step))

    def current_step(self, iteration: int) -> int:
        """What Caffe stores in a snapshot taken after `iteration` iterations."""
        return 0

    def begin(self) -> None:
        """Called before each run of iterations."""

    def state(self) -> dict[str, Any]:
        """What snapshots hold of the policy beside the step: {field of SolverState: value}."""
        return {}

    def restore(self, iteration: int, current_step: int, **state: Any) -> bool:
        """Goes on from a snapshot; True: training functions that are compiled already do not see it."""
        return False

    def get_config(self) -> dict[str, Any]:
        return dict(vars(self))


def as_float(value: Any) -> Any:
    return ops.cast(value, "float32")


@serializable_as("optimizers")
class Fixed(Policy):
    """base_lr."""

    def factor(self, iteration: Any) -> Any:
        return as_float(1)


@serializable_as("optimizers")
class Step(Policy):
    """base_lr gamma^floor(iteration / stepsize).

    Raises:
        SolverError: stepsize is no whole number of at least 1, gamma is below 0.
    """

    def __init__(self, base_lr: float, gamma: float, stepsize: int) -> None:
        super().__init__(base_lr)
        self.gamma: float = number("gamma", gamma, 0, error=SolverError)
        self.stepsize: int = whole("stepsize", stepsize, 1, error=SolverError)

    def factor(self, iteration: Any) -> Any:
        return ops.power(as_float(self.gamma), as_float(ops.floor_divide(iteration, self.stepsize)))

    def current_step(self, iteration: int) -> int:
        return max(iteration - 1, 0) // self.stepsize


@serializable_as("optimizers")
class Exp(Policy):
    """base_lr gamma^iteration.

    Raises:
        SolverError: gamma is below 0.
    """

    def __init__(self, base_lr: float, gamma: float) -> None:
        super().__init__(base_lr)
        self.gamma: float = number("gamma", gamma, 0, error=SolverError)

    def factor(self, iteration: Any) -> Any:
        return ops.power(as_float(self.gamma), as_float(iteration))


@serializable_as("optimizers")
class Inv(Policy):
    """base_lr (1 + gamma iteration)^-power.

    Raises:
        SolverError: gamma is below 0.
    """

    def __init__(self, base_lr: float, gamma: float, power: float) -> None:
        super().__init__(base_lr)
        self.gamma: float = number("gamma", gamma, 0, error=SolverError)
        self.power: float = number("power", power, error=SolverError)

    def factor(self, iteration: Any) -> Any:
        return ops.power(1 + self.gamma * as_float(iteration), -as_float(self.power))


@serializable_as("optimizers")
class MultiStep(Policy):
    """base_lr gamma^m, where m counts the stepvalues that iterations have reached, one more in an iteration at most.

    Args:
        base_lr, gamma: see the formula.
        stepvalues: iterations, as a rule ascending; they are waited for in this order.
        start: (iteration, m) to begin with (0, 0).

    Raises:
        SolverError: gamma is below 0, stepvalues or start are no whole numbers.
    """

    def __init__(
        self, base_lr: float, gamma: float, stepvalues: int | Sequence[int], start: tuple[int, int] = (0, 0)
    ) -> None:
        super().__init__(base_lr)
        self.gamma: float = number("gamma", gamma, 0, error=SolverError)
        self.stepvalues: list[int] = list(wholes("stepvalues", stepvalues, error=SolverError))
        self.start: tuple[int, ...] = wholes("start", start, 0, error=SolverError)
        if len(self.start) != 2:
            raise SolverError("start must be two whole numbers", expected="(iteration, m)", received=start)

    @property
    def reached(self) -> list[int]:
        """The iterations at which m grows."""
        iteration, step = self.start
        iterations, last = [], iteration - 1
        for value in self.stepvalues[step:]:
            last = max(last + 1, value)
            iterations.append(last)
        return iterations

    def factor(self, iteration: Any) -> Any:
        grown = [ops.cast(iteration >= at, "float32") for at in self.reached]
        return ops.power(as_float(self.gamma), sum(grown, as_float(self.start[1])))

    def current_step(self, iteration: int) -> int:
        return self.start[1] + sum(iteration - 1 >= at for at in self.reached)

    def restore(self, iteration: int, current_step: int, **state: Any) -> bool:
        before = self.start[1], self.reached
        self.start = (iteration, current_step)
        return before != (self.start[1], self.reached)


@serializable_as("optimizers")
class Poly(Policy):
    """base_lr (1 - iteration / max_iter)^power.

    Raises:
        SolverError: max_iter is no whole number of at least 1.
    """

    def __init__(self, base_lr: float, power: float, max_iter: int) -> None:
        super().__init__(base_lr)
        self.power: float = number("power", power, error=SolverError)
        self.max_iter: int = whole("max_iter", max_iter, 1, error=SolverError)

    def factor(self, iteration: Any) -> Any:
        return ops.power(1 - as_float(iteration) / self.max_iter, as_float(self.power))


@serializable_as("optimizers")
class Sigmoid(Policy):
    """base_lr / (1 + exp(-gamma (iteration - stepsize))).

    Raises:
        SolverError: stepsize is no whole number of at least 1, gamma is below 0.
    """

    def __init__(self, base_lr: float, gamma: float, stepsize: int) -> None:
        super().__init__(base_lr)
        self.gamma: float = number("gamma", gamma, 0, error=SolverError)
        self.stepsize: int = whole("stepsize", stepsize, 1, error=SolverError)

    def factor(self, iteration: Any) -> Any:
        return 1 / (1 + ops.exp(-self.gamma * (as_float(iteration) - self.stepsize)))
