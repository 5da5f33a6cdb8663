"""Test scores (Solver::Test in solver.cpp)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from keras_caffe.converters.model import CaffeModel
from keras_caffe.solver.feed import Feed
from keras_caffe.solver.train_net import named_outputs


class Scores(list):
    """One {blob: score} for each test net; a blob's name stands for its score in the first net that has it."""

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, str):
            return super().__getitem__(key)
        for net in self:
            if key in net:
                return net[key]
        raise KeyError(key)

    def logs(self) -> dict[str, float]:
        """The scores as Keras's callbacks expect them: `val_<blob>`, of further nets `val<number>_<blob>`."""
        return {
            f"val{number or ''}_{blob}": float(np.mean(score))
            for number, net in enumerate(self)
            for blob, score in net.items()
        }


def score(
    model: CaffeModel, feed: Feed, batches: int, each: Callable[[int, dict[str, Any]], None] | None = None
) -> dict[str, Any]:
    """{output: its mean over the batches}; `each` is called with every batch's number and outputs."""
    run = _compiled(model)
    sums: dict[str, np.ndarray] = {}
    for number in range(batches):
        try:
            outputs = run(feed.iterator)
        except tf.errors.OpError:
            feed.raise_error()
            raise
        values = {name: value.numpy() for name, value in outputs.items()}
        for name, value in values.items():
            sums[name] = sums.get(name, 0) + value
        if each is not None:
            each(number, values)
    means = {name: total / np.float32(batches) for name, total in sums.items()}
    return {name: float(mean) if np.ndim(mean) == 0 else mean for name, mean in means.items()}


def _compiled(model: CaffeModel) -> Any:
    """A function from an iterator to the net's outputs, compiled once; with replicas, to their mean."""
    if "_scoring" not in model.__dict__:
        strategy = model.distribute_strategy
        names = {model.net.values[v].blob for v in model.net.outputs}

        def outputs(batches: Any) -> dict[str, Any]:
            found = named_outputs(model, model(batches[0], training=False))
            return {name: tf.cast(value, "float32") for name, value in found.items() if name in names}

        def on_next(iterator: Any) -> dict[str, Any]:
            if not tf.distribute.has_strategy():
                return outputs(next(iterator))
            found = strategy.run(outputs, args=(next(iterator),))
            return {name: strategy.reduce("MEAN", value, axis=None) for name, value in found.items()}

        model.__dict__["_scoring"] = tf.function(on_next, autograph=False)
    return model.__dict__["_scoring"]
