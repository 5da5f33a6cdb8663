"""Caffe's Accuracy for plain Keras models."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_caffe.layers.base import serializable_as
from keras_caffe.ops.accuracy import accuracy

serializable = serializable_as("metrics")

__all__ = ["Accuracy"]


@serializable
class Accuracy(keras.metrics.Metric):
    """Share of the places whose label is among the top_k best scores, averaged over batches.

    Every batch weighs the same, whatever its size or its number of ignored places, as in Caffe's solver and tools.

    Args:
        top_k: number of best classes to look at.
        axis: axis of the classes in y_pred.
        ignore_label: places with this label do not count.
        ties: "bvlc" or "ssd", see layers.Accuracy.

    Shapes: y_true one label for each place; y_pred (..., K, ...).
    """

    def __init__(
        self,
        top_k: int = 1,
        axis: int = -1,
        ignore_label: int | None = None,
        ties: str = "bvlc",
        name: str = "accuracy",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.top_k, self.axis, self.ignore_label, self.ties = top_k, axis, ignore_label, ties
        self.total = self.add_variable((), "zeros", name="total")
        self.batches = self.add_variable((), "zeros", name="batches")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        scores = ops.moveaxis(ops.convert_to_tensor(y_pred), self.axis, -1)
        labels = ops.convert_to_tensor(y_true)
        mean, _ = accuracy(scores, labels, top_k=self.top_k, ignore_label=self.ignore_label, ties=self.ties)
        self.total.assign_add(ops.cast(mean, self.dtype))
        self.batches.assign_add(1)

    def result(self) -> Any:
        return self.total / ops.maximum(self.batches, 1)

    def get_config(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("top_k", "axis", "ignore_label", "ties")}
        return {**super().get_config(), **own}
