"""Caffe's losses for plain Keras models: what a call gives for a batch is the scalar that Caffe's layer gives.

They divide as Caffe does, so nothing is averaged over the batch again; sample weights are refused. Arguments that
Caffe refuses raise LayerError; the case of words does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NoReturn

import keras
from keras import ops

from keras_caffe._keras import Loss
from keras_caffe.errors import CaffeError
from keras_caffe.layers.arguments import flag, number, one_of, optional, square, whole
from keras_caffe.layers.loss import full_precision
from keras_caffe.layers.loss_bottoms import check_size, classes_last
from keras_caffe.layers.multi_box_loss import multibox_rules
from keras_caffe.layers.serializable import serializable_as
from keras_caffe.ops import distances, losses
from keras_caffe.ops.losses import NORMALIZATIONS, NORMS
from keras_caffe.ops.multibox import MultiBoxRules, multibox_loss
from keras_caffe.shapes import count, same_shape

__all__ = [
    "Contrastive",
    "Euclidean",
    "Hinge",
    "Infogain",
    "MultiBox",
    "SigmoidCrossEntropy",
    "SmoothL1",
    "SoftmaxWithLoss",
]


class CaffeLoss(Loss):
    """Base: a scalar for the batch; `fields` are the arguments that its config keeps.

    It computes in float32 at least: half precision has no word for label 257.
    """

    def __init__(self, fields: dict[str, Any], name: str | None, reduction: str, dtype: Any) -> None:
        super().__init__(name=name, reduction=reduction, dtype=full_precision(dtype))
        self.fields = fields

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        if sample_weight is not None:
            self._refuse("no sample weights", expected="sample_weight=None")
        if any(getattr(x, "_keras_mask", None) is not None for x in keras.tree.flatten(y_pred)):
            self._refuse("no mask", expected="y_pred of layers that mask nothing", received="one with Keras's mask")
        return super().__call__(y_true, y_pred)

    def _refuse(self, what: str, **said: Any) -> NoReturn:
        cure = "Mark samples that do not count with ignore_label, where the loss has it."
        raise CaffeError(f"{type(self).__name__} takes {what}", fix=cure, **said)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss as the one value of a list, which Keras divides among the replicas as it does its own losses."""
        return ops.reshape(self.caffe_loss(y_true, y_pred), (1,))

    def caffe_loss(self, y_true: Any, y_pred: Any) -> Any:
        """The scalar that Caffe's layer gives."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.fields}


@serializable_as("losses")
class SoftmaxWithLoss(CaffeLoss):
    """-sum over the places that count of log softmax(y_pred)[y_true], over the normaliser; see layers.SoftmaxWithLoss.

    Args:
        axis: axis of the classes in y_pred (-1).
        ignore_label: places with this label do not count; None = all count.
        normalization: "FULL", "VALID" (default), "BATCH_SIZE" or "NONE".

    Shapes: y_true one label for each place; y_pred (N, ..., K, ...), not softmaxed.
    """

    def __init__(
        self,
        axis: int = -1,
        ignore_label: int | None = None,
        normalization: str = "VALID",
        name: str | None = "softmax_with_loss",
        reduction: str = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        fields = {"axis": whole("axis", axis), **_counting(ignore_label, normalization)}
        super().__init__(fields, name, reduction, dtype)

    def caffe_loss(self, y_true: Any, y_pred: Any) -> Any:
        rules = dict(self.fields)
        return losses.softmax_loss(classes_last(y_pred, rules.pop("axis"), y_true), y_true, **rules)


@serializable_as("losses")
class Infogain(CaffeLoss):
    """-sum over places and classes l of matrix[y_true, l] log softmax(y_pred)[l], over the normaliser.

    Args:
        matrix: K rows of K numbers.
        axis, ignore_label, normalization: as in SoftmaxWithLoss.

    Shapes: y_true one label for each place; y_pred (N, ..., K, ...), not softmaxed.
    """

    def __init__(
        self,
        matrix: Sequence[Sequence[float]],
        axis: int = -1,
        ignore_label: int | None = None,
        normalization: str = "VALID",
        name: str | None = "infogain",
        reduction: str = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        rules = {"axis": whole("axis", axis), **_counting(ignore_label, normalization)}
        super().__init__({"matrix": square("matrix", matrix), **rules}, name, reduction, dtype)

    def caffe_loss(self, y_true: Any, y_pred: Any) -> Any:
        rules = dict(self.fields)
        return losses.infogain_loss(classes_last(y_pred, rules.pop("axis"), y_true), y_true, **rules)


@serializable_as("losses")
class SigmoidCrossEntropy(CaffeLoss):
    """sum over the elements that count of max(x, 0) - x t + log(1 + e^-|x|), over the normaliser.

    Args:
        ignore_label: elements whose target, truncated, is this do not count; None = all count.
        normalization: "FULL", "VALID", "BATCH_SIZE" (default) or "NONE".

    Shapes: y_true and y_pred (N, ...), y_pred not through a sigmoid.
    """

    def __init__(
        self,
        ignore_label: int | None = None,
        normalization: str = "BATCH_SIZE",
        name: str | None = "sigmoid_cross_entropy",
        reduction: str = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        super().__init__(_counting(ignore_label, normalization), name, reduction, dtype)

    def caffe_loss(self, y_true: Any, y_pred: Any) -> Any:
        _check_alike(y_pred, y_true)
        return losses.sigmoid_cross_entropy(y_pred, y_true, **self.fields)


@serializable_as("losses")
class Hinge(CaffeLoss):
    """One-against-all hinge loss: sum h / N (L1) or sum h^2 / N (L2), h = max(0, 1 - s x), s = 1 at the label, else -1.

    Args:
        norm: "L1" (default) or "L2".

    Shapes: y_true (N,) labels; y_pred (N, K), further axes are flattened.
    """

    def __init__(
        self, norm: str = "L1", name: str | None = "hinge", reduction: str = "sum_over_batch_size", dtype: Any = None
    ) -> None:
        super().__init__({"norm": one_of("norm", norm, NORMS)}, name, reduction, dtype)

    def caffe_loss(self, y_true: Any, y_pred: Any) -> Any:
        return losses.hinge_loss(ops.reshape(y_pred, (ops.shape(y_pred)[0], -1)), y_true, **self.fields)


@serializable_as("losses")
class Euclidean(CaffeLoss):
    """sum (y_pred - y_true)^2 / (2 N).

    Shapes: y_true and y_pred (N, ...) of as many values.
    """

    def __init__(
        self, name: str | None = "euclidean", reduction: str = "sum_over_batch_size", dtype: Any = None
    ) -> None:
        super().__init__({}, name, reduction, dtype)

    def caffe_loss(self, y_true: Any, y_pred: Any) -> Any:
        _check_alike(y_pred, y_true)
        return distances.euclidean_loss(y_pred, y_true)


@serializable_as("losses")
class Contrastive(CaffeLoss):
    """Similar pairs cost d^2, others max(margin - d, 0)^2 (legacy: max(margin - d^2, 0)); their sum over 2 N.

    Args:
        margin: distance beyond which dissimilar pairs cost nothing (1).
        legacy_version: compare the margin with d^2 (False).

    Shapes: y_true (N,), 0 = dissimilar; y_pred a pair of features (N, C), or one tensor (N, 2, C) or (N, 2 C).
    """

    def __init__(
        self,
        margin: float = 1.0,
        legacy_version: bool = False,
        name: str | None = "contrastive",
        reduction: str = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        fields = {"margin": number("margin", margin), "legacy_version": flag("legacy_version", legacy_version)}
        super().__init__(fields, name, reduction, dtype)

    def caffe_loss(self, y_true: Any, y_pred: Any) -> Any:
        if not isinstance(y_pred, (list, tuple)):
            y_pred = ops.unstack(ops.reshape(y_pred, (ops.shape(y_pred)[0], 2, -1)), axis=1)
        a, b = (ops.reshape(x, (ops.shape(x)[0], -1)) for x in y_pred)
        return distances.contrastive_loss(a, b, y_true, **self.fields)


@serializable_as("losses")
class SmoothL1(CaffeLoss):
    """sum smooth_l1(d) / N, d = y_pred - y_true; (sigma d)^2 / 2 if |d| < 1 / sigma^2, else |d| - 1 / (2 sigma^2).

    Args:
        sigma: inverse width of the quadratic part (1).

    Shapes: y_true and y_pred (N, ...) of as many values.
    """

    def __init__(
        self,
        sigma: float = 1.0,
        name: str | None = "smooth_l1",
        reduction: str = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        super().__init__({"sigma": number("sigma", sigma)}, name, reduction, dtype)

    def caffe_loss(self, y_true: Any, y_pred: Any) -> Any:
        _check_alike(y_pred, y_true)
        return distances.smooth_l1_loss(y_pred, y_true, **self.fields)


@serializable_as("losses")
class MultiBox(CaffeLoss):
    """The SSD loss, see layers.MultiBoxLoss.

    Args:
        num_classes: with the background.
        **rules: the other fields of `keras_caffe.ops.multibox.MultiBoxRules`.

    Shapes: y_true rows (image, label, instance, xmin, ymin, xmax, ymax, difficult), either Caffe's (1, 1, G, 8) or
    (N, G, 8) by image, where a row of image -1 is empty. y_pred (locations (N, P * 4 [* K]), scores (N, P * K), priors
    (1, 2, P * 4)[, RefineDet's own scores (N, P * 2)[, and shifts (N, P * 4) of the priors]]), or one tensor (N, P,
    4 [* K] + K + 8) of location, scores, prior box and variances.
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = "multi_box",
        reduction: str = "sum_over_batch_size",
        dtype: Any = None,
        **rules: Any,
    ) -> None:
        self.rules: MultiBoxRules = multibox_rules(num_classes, **rules)
        super().__init__(asdict(self.rules), name, reduction, dtype)

    def caffe_loss(self, y_true: Any, y_pred: Any) -> Any:
        if not isinstance(y_pred, (list, tuple)):
            y_pred = self._parts(y_pred)
        if len(y_true.shape) == 3:
            places = ops.arange(ops.shape(y_true)[0], dtype=y_true.dtype)[:, None]
            image = ops.where(y_true[..., 0] < 0, -1, places)
            y_true = ops.concatenate([image[..., None], y_true[..., 1:]], axis=-1)
        locations, scores, priors, *own = y_pred
        return sum(multibox_loss(self.rules, locations, scores, priors, y_true, *own))

    def _parts(self, y_pred: Any) -> tuple[Any, Any, Any]:
        batch, classes = ops.shape(y_pred)[0], self.rules.num_classes
        locations, scores, priors = ops.split(y_pred, [4 * self.rules.sets, 4 * self.rules.sets + classes], axis=-1)
        priors = ops.stack([priors[0, :, :4], priors[0, :, 4:]])
        return ops.reshape(locations, (batch, -1)), ops.reshape(scores, (batch, -1)), ops.reshape(priors, (1, 2, -1))


def _check_alike(y_pred: Any, y_true: Any) -> None:
    """Raises ShapeError unless both have as many samples, of as many values."""
    pred, true = tuple(y_pred.shape), tuple(y_true.shape)
    same_shape(pred[:1], true[:1], "y_pred and y_true must have the same first dimension")
    check_size(count(true[1:]), count(pred[1:]), "y_true must have as many values per sample as y_pred")


def _counting(ignore_label: int | None, normalization: str) -> dict[str, Any]:
    """Which places count, and what their sum is divided by."""
    return {
        "ignore_label": optional(whole, "ignore_label", ignore_label),
        "normalization": one_of("normalization", normalization, NORMALIZATIONS),
    }
