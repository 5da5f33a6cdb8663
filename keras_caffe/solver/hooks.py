"""What a solver does around the iterations of Keras's fit."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from keras_caffe._keras import Callback


class Hooks(Callback):
    """Tests, lines, snapshots, and the end at max_iter or on request.

    The logs of an epoch are means over its iterations, and test scores.
    """

    def __init__(self, solver: Any) -> None:
        super().__init__()
        self.solver = solver
        self.sums: dict[str, float] = {}
        self.count: int = 0

    def on_train_begin(self, logs: Any = None) -> None:
        self.solver.begin()
        self.model.stop_training = self.solver.iter >= self.solver.param.max_iter

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.solver.follow()
        self.sums, self.count = {}, 0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.solver.before_iteration()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.solver.after_iteration(logs)
        self.count += 1
        for name, value in logs.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value)
        if self.solver.request == "stop" or self.solver.iter >= self.solver.param.max_iter:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: MutableMapping[str, Any] | None = None) -> None:
        if self.solver.iter >= self.solver.param.max_iter:
            self.solver.finish()
        elif self.solver.request != "stop":
            self.solver.test_if_due(first=True)
            self.model.stop_training = self.model.stop_training or self.solver.request == "stop"
        if logs is not None:
            logs.update({name: total / self.count for name, total in self.sums.items()})
            logs.update(self.solver.scores.logs() if self.solver.scores is not None else {})
