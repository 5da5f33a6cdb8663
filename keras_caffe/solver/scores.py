"""Test scores (Solver::Test in solver.cpp)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from keras_caffe.converters.model import CaffeModel
from keras_caffe.named import unknown
from keras_caffe.ops.refusals import refusals_raised
from keras_caffe.solver.feed import Feed
from keras_caffe.solver.train_net import named_outputs, write_files


class Scores(list[dict[str, Any]]):
    """One {blob: score} for each test net; a blob's name stands for its score in the first net that has it."""

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, str):
            return super().__getitem__(key)
        for net in self:
            if key in net:
                return net[key]
        raise unknown("score", [key], dict.fromkeys(name for net in self for name in net))

    def logs(self) -> dict[str, float]:
        """The scores as Keras's callbacks expect them: `val_<blob>`, of further nets `val<number>_<blob>`."""
        return {
            f"val{number or ''}_{blob}": float(np.mean(score))
            for number, net in enumerate(self)
            for blob, score in net.items()
        }


class Scorer:
    """Runs a test net on its stream of batches.

    Attributes:
        loss: the mean of the batches that it ran last; all blobs with a loss weight count, be they outputs or not.
    """

    def __init__(self, model: CaffeModel, feed: Feed) -> None:
        self.model: CaffeModel = model
        self.feed: Feed = feed
        self._names = {model.net.values[v].blob for v in model.net.outputs}
        self._asked = {*self._names, *model.plan.also_out}
        self.loss: float = 0.0
        self._run = tf.function(self._next_outputs, autograph=False)

    def __call__(self, batches: int, each: Callable[[int, dict[str, Any]], None] | None = None) -> dict[str, Any]:
        """{output: its mean over the batches}; `each` is called with every batch's number and outputs."""
        sums: dict[str, np.ndarray] = {}
        losses: list[float] = []
        for number in range(batches):
            try:
                with refusals_raised():
                    outputs, loss = self._run(self.feed.iterator)
            except tf.errors.OpError as error:
                self.feed.raise_error(error)
                raise
            losses.append(float(loss))
            write_files(self.model, outputs)
            values = {name: value.numpy() for name, value in outputs.items() if name in self._names}
            for name, value in values.items():
                sums[name] = sums.get(name, 0) + value
            if each is not None:
                each(number, values)
        self.loss = float(np.mean(losses)) if losses else np.nan  # as Caffe without test_iter
        means = {name: total / np.float32(batches) for name, total in sums.items()}
        return {name: float(mean) if np.ndim(mean) == 0 else mean for name, mean in means.items()}

    def _next_outputs(self, iterator: Any) -> tuple[dict[str, Any], Any]:
        """The net's outputs for the next batch, and its loss; with replicas, their mean."""
        if not tf.distribute.has_strategy():
            return self._outputs(next(iterator))
        strategy = self.model.distribute_strategy
        outputs, loss = strategy.run(self._outputs, args=(next(iterator),))
        means = {name: strategy.reduce("MEAN", value, axis=None) for name, value in outputs.items()}
        return means, strategy.reduce("MEAN", loss, axis=None)

    def _outputs(self, batches: Any) -> tuple[dict[str, Any], Any]:
        outputs = named_outputs(self.model, self.model(batches[0], training=False))
        loss = tf.add_n(self.model.losses) if self.model.losses else tf.zeros(())
        shown = {name: tf.cast(value, "float32") for name, value in outputs.items() if name in self._asked}
        return shown, tf.cast(loss, "float32")
