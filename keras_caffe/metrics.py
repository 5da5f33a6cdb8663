"""Caffe's Accuracy for plain Keras models."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_caffe._keras import Metric
from keras_caffe.errors import ShapeError
from keras_caffe.layers.arguments import one_of, optional, whole
from keras_caffe.layers.loss_bottoms import classes_last
from keras_caffe.layers.serializable import serializable_as
from keras_caffe.ops.accuracy import TIES, accuracy
from keras_caffe.ops.losses import integer_labels

__all__ = ["Accuracy"]


@serializable_as("metrics")
class Accuracy(Metric):
    """The share of places whose label is among the top_k best scores, averaged over batches.

    Every batch weighs the same, whatever its size or its number of ignored places, as in Caffe's solver and tools.
    Within a batch, places count as `sample_weight` says: sum of the weights of right places / sum of the weights.

    Args:
        top_k: number of best classes to look at, at least 1 (1).
        axis: axis of the classes in y_pred (-1).
        ignore_label: places with this label do not count; None = all count.
        ties: "bvlc" (default) or "ssd", see layers.Accuracy.

    Shapes: y_true one label for each place; y_pred (..., K, ...); sample_weight one weight for each place or sample.

    Raises:
        LayerError: an argument is none of the above; a label names no class (in `fit` the result is NaN).
        ShapeError: y_true does not fit y_pred, or sample_weight y_true.
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
        self.top_k: int = whole("top_k", top_k, 1)
        self.axis: int = whole("axis", axis)
        self.ignore_label: int | None = optional(whole, "ignore_label", ignore_label)
        self.ties: str = one_of("ties", ties, TIES)
        self.total: Any = self.add_variable((), "zeros", name="total")
        self.batches: Any = self.add_variable((), "zeros", name="batches")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        labels = ops.convert_to_tensor(y_true)
        scores = classes_last(ops.convert_to_tensor(y_pred), self.axis, labels)
        weights = None if sample_weight is None else _at_places(sample_weight, labels)
        rules: dict[str, Any] = {"top_k": self.top_k, "ignore_label": self.ignore_label, "ties": self.ties}
        mean, _ = accuracy(scores, labels, weights=weights, **rules)
        mean = ops.where(self._all_known(labels, scores.shape[-1], weights), mean, float("nan"))
        self.total.assign_add(ops.cast(mean, self.dtype))
        self.batches.assign_add(1)

    def _all_known(self, labels: Any, classes: int, weights: Any) -> Any:
        """Whether every label that counts names a class; in a graph nothing else would say so."""
        labels = integer_labels(labels)
        known = (labels >= 0) & (labels < classes)
        if self.ignore_label is not None:
            known = known | ops.equal(labels, self.ignore_label)
        return ops.all(known if weights is None else known | ops.equal(weights, 0))

    def result(self) -> Any:
        return self.total / ops.maximum(self.batches, 1)

    def get_config(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("top_k", "axis", "ignore_label", "ties")}
        return {**super().get_config(), **own}


def _at_places(weights: Any, labels: Any) -> Any:
    """A weight for each label: given as such, or one for all labels of a sample (missing axes are the last ones)."""
    weights, want = ops.convert_to_tensor(weights, "float32"), tuple(labels.shape)
    have = tuple(weights.shape)
    while len(have) > len(want) and have[-1] == 1:
        have = have[:-1]
    fits = all(None in pair or pair[0] in (1, pair[1]) for pair in zip(have, want, strict=False))
    if len(have) > len(want) or not fits:
        raise ShapeError("sample_weight does not fit y_true", expected=f"{want} or its first axes", received=have)
    sizes = (*ops.shape(weights)[: len(have)], *[1] * (len(want) - len(have)))
    return ops.broadcast_to(ops.reshape(weights, sizes), ops.shape(labels))
