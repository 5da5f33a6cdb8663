"""What a solver does around the iterations of Keras's fit."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import keras


class Hooks(keras.callbacks.Callback):
    """Tests, lines, snapshots, and the end at max_iter or on request; test scores become logs of their epoch."""

    def __init__(self, solver: Any) -> None:
        super().__init__()
        self.solver = solver

    def on_train_begin(self, logs: Any = None) -> None:
        self.model.stop_training = self.solver.iter >= self.solver.param.max_iter

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.solver.before_iteration()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.solver.after_iteration(logs)
        if self.solver.request == "stop" or self.solver.iter >= self.solver.param.max_iter:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: MutableMapping[str, Any] | None = None) -> None:
        if self.solver.request != "stop":
            self.solver.test_if_due(first=True)
        if logs is not None and self.solver.scores is not None:
            logs.update(self.solver.scores.logs())
