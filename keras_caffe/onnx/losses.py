"""Losses and accuracy: one number for a batch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from keras_caffe import layers
from keras_caffe.onnx.activations import softplus
from keras_caffe.onnx.graph import Operand, Tensor
from keras_caffe.onnx.registry import writes
from keras_caffe.onnx.site import Length, Site
from keras_caffe.ops.losses import LOG_FLT_MIN, SMALLEST


def total(site: Site, x: Tensor) -> Tensor:
    """The sum of all values, without axes."""
    return site.op("ReduceSum", x, keepdims=0)


def number(site: Site, size: Length) -> Operand:
    """A size as a float without axes."""
    return float(size) if isinstance(size, int) else site.cast(site.op("Squeeze", size, [0]), "float")


def per_sample(site: Site, x: Tensor, each: float = 1.0) -> Tensor:
    """The sum of all values over the batch size, or over a multiple of it."""
    return site.op("Div", total(site, x), _times(site, number(site, site.sizes()[0]), each))


def _times(site: Site, a: Operand, factor: float) -> Operand:
    if factor == 1:
        return a
    return a * factor if isinstance(a, float) else site.op("Mul", a, factor)


def integers(site: Site, labels: Tensor, bottom: int = 1) -> Tensor:
    """(places,) labels of a bottom as Caffe reads them: floats truncated towards zero."""
    flat = labels if len(site.bottoms[bottom]) == 1 else site.op("Reshape", labels, [-1])
    return site.cast(flat, "int64")


def classes_last(site: Site, scores: Tensor, axis: int) -> tuple[Tensor, Length]:
    """(places, classes) of scores with their classes on an axis, and the number of classes."""
    classes = site.sizes()[axis]
    order = [*(a for a in range(site.rank) if a != axis), axis]
    turned = scores if order == sorted(order) else site.op("Transpose", scores, perm=order)
    return site.op("Reshape", turned, site.vector([-1, classes])), classes


def inside(site: Site, labels: Tensor, classes: Length) -> tuple[Tensor, Tensor]:
    """Which labels are those of a class, and the labels with 0 in place of the others."""
    above, below = site.op("GreaterOrEqual", labels, [0]), site.op("Less", labels, site.length(classes))
    known = site.op("And", above, below)
    return known, site.where(known, labels, [0])


def at_label(site: Site, values: Tensor, labels: Tensor, classes: Length) -> Tensor:
    """(places,) the value of each place's class; NaN where a label is out of range."""
    known, safe = inside(site, labels, classes)
    picked = site.op("GatherElements", values, site.op("Unsqueeze", safe, [1]), axis=1)
    return site.where(known, site.op("Squeeze", picked, [1]), math.nan)


def valid(site: Site, labels: Tensor, ignore_label: int | None) -> Tensor | None:
    """Which places count; None: all."""
    return None if ignore_label is None else site.op("Not", site.op("Equal", labels, [ignore_label]))


def normalized(site: Site, loss: Tensor, counted: Tensor | None, sizes: Sequence[Length], batch_axes: int) -> Tensor:
    """The sum over the places that count, divided as the layer's normalisation says, by 1 at least.

    Args:
        loss: of each place.
        counted: which places count; None: all.
        sizes: of the places' axes.
        batch_axes: how many of these make up the batch.
    """
    mode = site.layer.normalization
    if counted is None and mode in ("FULL", "VALID"):
        return site.op("ReduceMean", loss, keepdims=0)
    summed = total(site, loss if counted is None else site.where(counted, loss, 0.0))
    if mode == "NONE":
        return summed
    if mode == "VALID" and counted is not None:
        count: Operand = total(site, site.cast(counted, "float"))
    else:
        count = number(site, site.product(sizes[:batch_axes] if mode == "BATCH_SIZE" else sizes))
    least = max(count, 1.0) if isinstance(count, float) else site.op("Max", count, 1.0)
    return site.op("Div", summed, least)


def places(site: Site, axis: int) -> list[Length]:
    """The sizes of all axes but that of the classes."""
    return [size for a, size in enumerate(site.sizes()) if a != axis]


@writes(layers.SoftmaxWithLoss, precise=True)
def softmax_with_loss(site: Site, scores: Tensor, label: Tensor) -> Tensor:
    loss, counted = softmax_losses(site, scores, label)
    if site.layer.class_weighting is not None:
        known, safe = inside(site, integers(site, label), len(site.layer.class_weighting))
        weights = site.op("Gather", np.asarray(site.layer.class_weighting, "float32"), safe)
        loss = site.op("Mul", loss, site.where(known, weights, math.nan))
    return normalized(site, loss, counted, places(site, site.axis(site.layer.axis)), site.layer.batch_axes)


def softmax_losses(site: Site, scores: Tensor, label: Tensor) -> tuple[Tensor, Tensor | None]:
    """The loss of each place, and which places count; None: all."""
    labels = integers(site, label)
    flat, classes = classes_last(site, scores, site.axis(site.layer.axis))
    log = at_label(site, site.op("LogSoftmax", flat, axis=1), labels, classes)
    return site.op("Neg", site.op("Max", log, LOG_FLT_MIN)), valid(site, labels, site.layer.ignore_label)


@writes(layers.InfogainLoss, precise=True)
def infogain_loss(site: Site, scores: Tensor, label: Tensor, matrix: Tensor | None = None) -> Sequence[Tensor]:
    layer, axis, labels = site.layer, site.axis(site.layer.axis), integers(site, label)
    flat, classes = classes_last(site, scores, axis)
    known, safe = inside(site, labels, classes)
    given = np.asarray(layer.matrix, "float32") if matrix is None else site.reshape(matrix, [classes, classes])
    log = site.op("Max", site.op("LogSoftmax", flat, axis=1), math.log(SMALLEST))
    gain = site.reduce("ReduceSum", site.op("Mul", site.op("Gather", given, safe), log), [1], keepdims=False)
    loss = site.op("Neg", site.where(known, gain, math.nan))
    counted = valid(site, labels, layer.ignore_label)
    top = normalized(site, loss, counted, places(site, axis), layer.batch_axes)
    return [top, site.op("Softmax", scores, axis=axis)] if layer.probabilities else [top]


@writes(layers.MultinomialLogisticLoss, precise=True)
def multinomial_logistic_loss(site: Site, probabilities: Tensor, label: Tensor) -> Tensor:
    flat, classes = _flat(site, probabilities)
    p = at_label(site, flat, integers(site, label), classes)
    return per_sample(site, site.op("Neg", site.op("Log", site.op("Max", p, SMALLEST))))


def _flat(site: Site, x: Tensor, bottom: int = 0) -> tuple[Tensor, Length]:
    """(N, everything else), and how much that is."""
    rest = site.product(site.sizes(bottom)[1:])
    return (x if len(site.bottoms[bottom]) == 2 else site.op("Flatten", x, axis=1)), rest


@writes(layers.SigmoidCrossEntropyLoss, precise=True)
def sigmoid_cross_entropy_loss(site: Site, scores: Tensor, targets: Tensor) -> Tensor:
    targets = like_first(site, targets, 1)
    loss = site.op("Sub", softplus(site, scores), site.op("Mul", scores, targets))
    counted = valid(site, site.cast(targets, "int64"), site.layer.ignore_label)
    return normalized(site, loss, counted, site.sizes(), 1)


def like_first(site: Site, x: Tensor, bottom: int) -> Tensor:
    """A bottom in the shape of the first."""
    return x if site.bottoms[bottom] == site.bottoms[0] else site.reshape(x, site.sizes())


@writes(layers.HingeLoss, precise=True)
def hinge_loss(site: Site, scores: Tensor, label: Tensor) -> Tensor:
    flat, classes = _flat(site, scores)
    own = site.op("Equal", site.op("Unsqueeze", _first_labels(site, label), [1]), site.range(classes))
    hinge = site.op("Relu", site.op("Sub", 1.0, site.op("Mul", site.where(own, 1.0, -1.0), flat)))
    return per_sample(site, site.op("Mul", hinge, hinge) if site.layer.norm == "L2" else hinge)


def _first_labels(site: Site, label: Tensor, bottom: int = 1) -> Tensor:
    """The first N labels of those in a bottom."""
    labels = integers(site, label, bottom)
    if all(size == 1 for size in site.bottoms[bottom][1:]):
        return labels
    return site.slice(labels, 0, 0, site.sizes()[0])


@writes(layers.EuclideanLoss, precise=True)
def euclidean_loss(site: Site, a: Tensor, b: Tensor) -> Tensor:
    apart = site.op("Sub", a, like_first(site, b, 1))
    return per_sample(site, site.op("Mul", apart, apart), 2.0)


@writes(layers.ContrastiveLoss, precise=True)
def contrastive_loss(site: Site, a: Tensor, b: Tensor, similar: Tensor) -> Tensor:
    layer, (first, _), (second, _) = site.layer, _flat(site, a), _flat(site, b, 1)
    apart = site.op("Sub", first, second)
    squared = site.reduce("ReduceSum", site.op("Mul", apart, apart), [1], keepdims=False)
    distance = squared if layer.legacy_version else site.op("Sqrt", squared)
    missing = site.op("Relu", site.op("Sub", float(layer.margin), distance))
    cost = missing if layer.legacy_version else site.op("Mul", missing, missing)
    other = site.op("Equal", _first_labels(site, similar, 2), [0])
    return per_sample(site, site.where(other, cost, squared), 2.0)


@writes(layers.SmoothL1Loss, precise=True)
def smooth_l1_loss(site: Site, a: Tensor, b: Tensor, *weights: Tensor) -> Tensor:
    inside_weight, outside_weight = (*weights, None, None)[:2]
    scale = site.layer.sigma**2
    apart = site.op("Sub", a, like_first(site, b, 1))
    apart = site.op("Mul", apart, like_first(site, inside_weight, 2)) if inside_weight else apart
    size, limit = site.op("Abs", apart), 1 / scale if scale else math.inf
    square = site.op("Mul", site.op("Mul", apart, apart), 0.5 * scale)
    linear = site.op("Sub", size, 0.5 * limit)
    loss = site.where(site.op("Less", size, limit), square, linear)
    return per_sample(site, site.op("Mul", loss, like_first(site, outside_weight, 3)) if outside_weight else loss)


@writes(layers.CenterLoss, precise=True)
def center_loss(site: Site, features: Tensor, label: Tensor) -> Tensor:
    classes, size = site.values(0).shape
    samples = site.sizes()[0]
    flat = site.op("Reshape", features, [-1, size])
    # Where the features begin behind axis 1, Caffe takes as many of them as there are samples.
    flat = flat if site.layer.axis == 1 else site.slice(flat, 0, 0, samples)
    known, safe = inside(site, _first_labels(site, label), classes)
    apart = site.op("Sub", flat, site.op("Gather", site.weight(0), safe))
    loss = site.reduce("ReduceSum", site.op("Mul", apart, apart), [1], keepdims=False)
    return per_sample(site, site.where(known, loss, math.nan), 2.0)


@writes(layers.Accuracy, precise=True)
def accuracy(site: Site, scores: Tensor, label: Tensor) -> Sequence[Tensor]:
    layer, labels = site.layer, integers(site, label)
    flat, classes = classes_last(site, scores, site.axis(layer.axis))
    known, safe = inside(site, labels, classes)
    if layer.ignore_label is not None:
        known = site.op("And", known, valid(site, labels, layer.ignore_label))
    right = site.op("And", known, site.op("Less", _better(site, flat, safe, classes), [layer.top_k]))
    counted, hits = (site.cast(which, "float") for which in (known, right))
    mean = _share(site, total(site, hits), total(site, counted), layer.ties == "bvlc")
    if not layer.per_class:
        return [mean]
    own = site.cast(site.op("Equal", site.op("Unsqueeze", safe, [1]), site.range(classes)), "float")
    of_class = (site.op("Mul", own, site.op("Unsqueeze", which, [1])) for which in (hits, counted))
    sums = [site.reduce("ReduceSum", which, [0], keepdims=False) for which in of_class]
    return [mean, _share(site, sums[0], sums[1], nothing_is_zero=True)]


def _share(site: Site, hits: Tensor, of: Tensor, nothing_is_zero: bool) -> Tensor:
    share = site.op("Div", hits, of)
    return site.where(site.op("Greater", of, 0.0), share, 0.0) if nothing_is_zero else share


def _better(site: Site, scores: Tensor, labels: Tensor, classes: Length) -> Tensor:
    """(places,) how many classes stand before the true one."""
    place = site.op("Unsqueeze", labels, [1])
    true = site.op("GatherElements", scores, place, axis=1)
    if site.layer.ties == "bvlc":
        before = site.op("GreaterOrEqual", scores, true)
    else:
        later = site.op("Less", place, site.range(classes))
        ties = site.op("And", site.op("Equal", scores, true), later)
        before = site.op("Or", site.op("Greater", scores, true), ties)
    number_before = site.reduce("ReduceSum", site.cast(before, "int64"), [1], keepdims=False)
    return site.op("Sub", number_before, [1]) if site.layer.ties == "bvlc" else number_before


@writes(layers.MultiBoxLoss, layers.DetectionEvaluate, layers.RegionLoss, layers.Yolov3, precise=True)
def of_training(site: Site, *bottoms: Tensor) -> Tensor:
    site.refuse("it pairs boxes with ground truth one after the other, which is for training")


@writes(layers.Python, precise=True)
def python(site: Site, *bottoms: Tensor) -> Tensor:
    site.refuse("it runs Python code")
