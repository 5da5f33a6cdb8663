"""The policy of the SSD fork that waits for the loss to stop falling (sgd_solver.cpp of weiliu89/caffe, branch ssd)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_caffe.errors import SolverError
from keras_caffe.layers.arguments import number, whole, wholes
from keras_caffe.layers.serializable import serializable_as
from keras_caffe.optimizers.policies import Policy, as_float

MOST_LOSSES = 10_000_000  # all of them are kept: a file cannot ask for more memory


@serializable_as("optimizers")
class Plateau(Policy):
    """base_lr gamma^m, where m grows when the smoothed loss has had no new minimum for winsizes[m] iterations.

    Whoever trains tells it each iteration's loss with `observe` before the rate is asked for; `Solver` does.

    Args:
        base_lr, gamma: see the formula.
        winsizes: iterations to wait, for each step; after the last one the rate stays.
        average_loss: the smoothed loss is the mean of so many, from 1 (default) to 10 million.

    Raises:
        SolverError: gamma is below 0, winsizes or average_loss are no such whole numbers.
    """

    def __init__(self, base_lr: float, gamma: float, winsizes: int | Sequence[int], average_loss: int = 1) -> None:
        super().__init__(base_lr)
        self.gamma: float = number("gamma", gamma, 0, error=SolverError)
        self.winsizes: list[int] = list(wholes("winsizes", winsizes, error=SolverError))
        self.average_loss: int = whole("average_loss", average_loss, 1, MOST_LOSSES, error=SolverError)
        self.minimum: Any = _state("minimum_loss", 1e38, "float32")
        self.last_event: Any = _state("iter_last_event", 0, "int32")
        self.steps: Any = _state("current_step", 0, "int32")
        self.losses: Any = _state("losses", np.zeros(self.average_loss), "float32")
        self.seen: Any = _state("seen", 0, "int32")

    def observe(self, loss: Any, iteration: Any) -> None:
        """Takes the loss of an iteration; may be part of a compiled function."""
        iteration = ops.cast(iteration, "int32")
        slot = ops.arange(self.average_loss) == self.seen % self.average_loss
        self.losses.assign(ops.where(slot, as_float(loss), self.losses))
        self.seen.assign(self.seen + 1)
        smoothed = ops.sum(self.losses) / as_float(ops.minimum(self.seen, self.average_loss))
        better = smoothed < self.minimum
        self.minimum.assign(ops.where(better, smoothed, self.minimum))
        self.last_event.assign(ops.where(better, iteration, self.last_event))
        # After the last window there is one that nobody lives to see the end of.
        windows = ops.convert_to_tensor([*self.winsizes, 2**31 - 1], "int32")
        patience = ops.take(windows, ops.minimum(self.steps, len(self.winsizes)))
        step = iteration - self.last_event >= patience
        self.steps.assign(self.steps + ops.cast(step, "int32"))
        self.last_event.assign(ops.where(step, iteration, self.last_event))

    def factor(self, iteration: Any) -> Any:
        return ops.power(as_float(self.gamma), as_float(self.steps))

    def current_step(self, iteration: int) -> int:
        return int(ops.convert_to_numpy(self.steps))

    def begin(self) -> None:
        """Forgets the losses that the smoothed one was made of, as Caffe does each time it is told to train on."""
        self.seen.assign(0)

    def state(self) -> dict[str, Any]:
        minimum, event = ops.convert_to_numpy(self.minimum), ops.convert_to_numpy(self.last_event)
        return {"minimum_loss": float(minimum), "iter_last_event": int(event)}

    def restore(
        self, iteration: int, current_step: int, minimum_loss: float = 1e38, iter_last_event: int = 0, **state: Any
    ) -> bool:
        self.minimum.assign(minimum_loss)
        self.last_event.assign(iter_last_event)
        self.steps.assign(current_step)
        self.begin()
        return False

    def get_config(self) -> dict[str, Any]:
        names = ("base_lr", "gamma", "winsizes", "average_loss")
        return {name: getattr(self, name) for name in names}


def _state(name: str, value: Any, dtype: str) -> keras.Variable:
    return keras.Variable(value, dtype=dtype, trainable=False, name=name)
