"""Caffe's lines about training (Solver::Step, Solver::Test in solver.cpp)."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from keras_caffe.solver.scores import Scores


class Display:
    """Tells what Caffe logs, every `display` iterations: the smoothed loss, the net's outputs and the rate.

    Args:
        solver: the Solver.
    """

    def __init__(self, solver: Any) -> None:
        self.solver = solver
        self.clear()

    def clear(self) -> None:
        self.losses: deque[float] = deque(maxlen=self.solver.param.average_loss)
        self._time, self._at = time.perf_counter(), self.solver.iter

    @property
    def smoothed_loss(self) -> float:
        """Mean of the last average_loss losses."""
        return float(np.mean(self.losses)) if self.losses else float("nan")

    def iteration(self, loss: float) -> None:
        """Takes an iteration's loss, and prints it and the net's outputs if they are due."""
        self.losses.append(loss)
        every = self.solver.param.display
        if not self.due:
            return
        now = time.perf_counter()
        count, seconds = self.solver.iter - self._at, now - self._time
        speed = f" ({count / seconds:.6g} iter/s, {seconds:.3g}s/{every} iters)" if count else ""
        self._time, self._at = now, self.solver.iter
        self.solver.tell(f"Iteration {self.solver.iter}{speed}, loss = {self.smoothed_loss:.6g}")
        outputs = self.solver.model.last_step.outputs
        self._lines("Train", self.solver.model, {name: outputs[name] for name in outputs if name in self._outputs()})
        self.solver.tell(f"Iteration {self.solver.iter}, lr = {self.solver.lr:.6g}")

    @property
    def due(self) -> bool:
        return bool(self.solver.param.display) and self.solver.iter % self.solver.param.display == 0

    def end(self, loss: float | None) -> None:
        """Prints the smoothed loss after the last iteration, to which a further forward pass adds its own."""
        self.losses.extend([] if loss is None else [loss])
        self.solver.tell(f"Iteration {self.solver.iter}, loss = {self.smoothed_loss:.6g}")

    def scores(self, scores: Scores, losses: Sequence[float]) -> None:
        """Prints test scores, and the test nets' losses if they are wanted."""
        if not self.solver.tells:
            return
        tested = zip(self.solver.test_models, scores, losses, strict=True)
        for number, (model, net, loss) in enumerate(tested):
            self.solver.tell(f"Iteration {self.solver.iter}, Testing net (#{number})")
            if self.solver.param.test_compute_loss:
                self.solver.tell(f"Test loss: {loss:.6g}")
            self._lines("Test", model, net)

    def _outputs(self) -> set[str]:
        net = self.solver.model.net
        return {net.values[value].blob for value in net.outputs}

    def _lines(self, which: str, model: Any, outputs: Mapping[str, Any]) -> None:
        for number, line in enumerate(output_lines(outputs, loss_weights(model))):
            self.solver.tell(f"    {which} net output #{number}: {line}")


def output_lines(outputs: Mapping[str, Any], weights: Mapping[str, float]) -> Iterator[str]:
    """`name = value` for every value of every output, with its part of the loss where it has a weight."""
    for name, values in outputs.items():
        weight = weights.get(name, 0)
        for value in np.ravel(values):
            yield f"{name} = {value:.6g}" + (f" (* {weight:g} = {weight * value:.6g} loss)" if weight else "")


def loss_weights(model: Any) -> dict[str, float]:
    """{blob: its loss weight} of the blobs that have one."""
    return {model.net.values[value].blob: weight for value, weight in model.plan.loss_weights.items()}


def say(line: str) -> None:
    print(line, flush=True)
