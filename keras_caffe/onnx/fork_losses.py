"""Losses of forks, what chooses hard examples by them, and accuracies of forks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_caffe import layers
from keras_caffe.layers.ctc import class_index
from keras_caffe.onnx.graph import Operand, Tensor
from keras_caffe.onnx.losses import (
    at_label,
    classes_last,
    integers,
    like_first,
    normalized,
    per_sample,
    places,
    softmax_losses,
    softplus,
    total,
    valid,
)
from keras_caffe.onnx.recurrent import packed
from keras_caffe.onnx.registry import writes
from keras_caffe.onnx.site import Site
from keras_caffe.ops.losses import LOG_FLT_MIN


@writes(layers.FocalLoss, precise=True)
def focal_loss(site: Site, scores: Tensor, label: Tensor) -> Tensor:
    layer, axis, labels = site.layer, site.axis(site.layer.axis), integers(site, label)
    flat, classes = classes_last(site, scores, axis)
    log = at_label(site, site.op("LogSoftmax", flat, axis=1), labels, classes)
    p = site.op("Exp", log)
    unsure = site.op("Add" if layer.type == "ONEADDP" else "Sub", float(layer.alpha), p)
    loss = site.op("Mul", site.op("Pow", unsure, float(layer.gamma)), site.op("Max", log, LOG_FLT_MIN))
    counted = valid(site, labels, layer.ignore_label)
    return normalized(site, site.op("Neg", loss), counted, places(site, axis), layer.batch_axes)


@writes(layers.SoftmaxWithLossOHEM, precise=True)
def softmax_with_loss_ohem(site: Site, scores: Tensor, label: Tensor) -> Sequence[Tensor]:
    layer, axis = site.layer, site.axis(site.layer.axis)
    losses, counted = softmax_losses(site, scores, label)
    loss = normalized(site, losses, counted, places(site, axis), layer.batch_axes)
    each = losses if counted is None else site.where(counted, losses, 0.0)
    more = [site.op("Softmax", scores, axis=axis), site.reshape(each, site.sizes(1))]
    return [loss, *more[: layer.more_tops]]


@writes(layers.SmoothL1LossOHEM, precise=True)
def smooth_l1_loss_ohem(site: Site, a: Tensor, b: Tensor, *weights: Tensor) -> Sequence[Tensor]:
    layer, batch = site.layer, site.sizes()[0]
    apart = site.op("Sub", a, like_first(site, b, 1))
    apart = site.op("Mul", apart, like_first(site, weights[0], 2)) if weights else apart
    size = site.op("Abs", apart)
    square, linear = site.op("Mul", site.op("Mul", apart, apart), 0.5), site.op("Sub", size, 0.5)
    losses = site.where(site.op("Less", size, 1.0), square, linear)
    each = site.reduce("ReduceSum", losses, [1]) if site.rank > 1 else losses
    of_places = [batch, 1, *[*site.sizes()[2:], 1, 1][:2]]
    each = site.reshape(each, of_places)
    if layer.normalization == "PRE_FIXED":
        loss = site.op("Div", total(site, each), max(layer.pre_fixed_normalizer, 1.0))
    else:
        loss = normalized(site, each, None, of_places, 1)
    return [loss, each][: 1 + layer.more_tops]


@writes(layers.SigmoidCrossEntropyBalanceLoss, precise=True)
def sigmoid_cross_entropy_balance_loss(site: Site, scores: Tensor, targets: Tensor) -> Tensor:
    """See `keras_caffe.ops.losses.balanced_sigmoid_cross_entropy`."""
    targets, inner = like_first(site, targets, 1), list(range(1, site.rank))

    def of_image(x: Tensor) -> Tensor:
        return str(site.reduce("ReduceSum", x, inner)) if inner else x

    loss = site.op("Sub", softplus(site, scores), site.op("Mul", scores, targets))
    one, zero = (site.op("Equal", targets, value) for value in (1.0, 0.0))
    ones, zeros = (of_image(site.cast(x, "float")) for x in (one, zero))
    of_ones, of_zeros = (of_image(site.where(x, loss, 0.0)) for x in (one, zero))
    ones_of_zeros = site.op("Mul", ones, float(site.layer.negative_weight))
    weighed = site.op("Add", site.op("Mul", of_ones, zeros), site.op("Mul", of_zeros, ones_of_zeros))
    return per_sample(site, site.op("Div", weighed, site.op("Add", ones, zeros)))


@writes(layers.TripletLoss, precise=True)
def triplet_loss(site: Site, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    def distance(other: Tensor) -> Tensor:
        apart = site.op("Sub", anchor, other)
        return site.reduce("ReduceSum", site.op("Mul", apart, apart), [1])

    nearer = site.op("Sub", site.op("Add", distance(positive), float(site.layer.margin)), distance(negative))
    return per_sample(site, site.op("Relu", nearer), 2.0)


@writes(layers.BoxAnnotatorOHEM, precise=True)
def box_annotator_ohem(site: Site, regions: Tensor, losses: Tensor, *values: Tensor) -> Sequence[Tensor]:
    """A region counts if few enough of its image stand before it: of a greater loss, or of the same and earlier."""
    rows = site.sizes()[0]
    image = site.cast(site.slice(site.reshape(regions, [rows, 5]), 1, 0, 1), "int64")
    loss, place = site.reshape(losses, [rows, 1]), site.range(rows)
    other = site.reshape(losses, [1, rows])
    earlier = site.op("Less", place, site.op("Unsqueeze", place, [1]))
    ties = site.op("And", site.op("Equal", other, loss), earlier)
    before = site.op("Or", site.op("Greater", other, loss), ties)
    before = site.op("And", before, site.op("Equal", image, site.reshape(image, [1, rows])))
    number = site.reduce("ReduceSum", site.cast(before, "int64"), [1])
    chosen = site.op("Less", number, [site.layer.roi_per_img])
    tops = []
    for bottom, value, otherwise in zip((2, 3), values, (float(site.layer.ignore_label), 0.0), strict=True):
        (width,) = site.known([*site.bottoms[bottom][1:2], 1][:1], "the number of values of each region")
        kept = site.where(chosen, site.reshape(value, [rows, width]), otherwise)
        tops.append(site.op("Unsqueeze", kept, [2, 3]))
    return tops


@writes(layers.SegAccuracy, precise=True)
def seg_accuracy(site: Site, scores: Tensor, label: Tensor) -> Tensor:
    if not site.layer.reset:
        site.refuse("it counts the pixels of all batches, and a file remembers nothing", "reset: true", "false")
    counts = _confusion(site, scores, label)
    (classes,) = site.known(site.bottoms[0][1:2], "the number of classes")
    right = site.reduce("ReduceSum", site.op("Mul", counts, np.eye(classes, dtype="float32")), [1])
    row, column = (site.reduce("ReduceSum", counts, [axis]) for axis in (1, 0))
    union = site.op("Sub", site.op("Add", row, site.op("Reshape", column, [-1, 1])), right)
    occurs = total(site, site.cast(site.op("Greater", row, 0.0), "float"))
    scored = (
        _share(site, total(site, right), total(site, row), 0.0),
        _share(site, total(site, _share(site, right, row, 0.0)), occurs, 0.0),
        site.op("ReduceMean", _share(site, right, union, 1.0), keepdims=0),
    )
    return site.op("Concat", *(site.op("Reshape", one, [1, 1, 1, 1]) for one in scored), axis=3)


def _confusion(site: Site, scores: Tensor, label: Tensor) -> Tensor:
    """(K, K): how many pixels of each class (row) score best for each class (column), the last of equal ones."""
    flat, classes = classes_last(site, scores, 1)
    labels = integers(site, label)
    for ignored in site.layer.ignore_label:
        labels = site.where(site.op("Equal", labels, [ignored]), [-1], labels)
    best = site.op("ArgMax", flat, axis=1, keepdims=1, select_last_index=1)
    true, found = (
        site.cast(site.op("Equal", index, site.range(classes)), "float")
        for index in (site.op("Unsqueeze", labels, [1]), best)
    )
    return str(site.op("MatMul", site.op("Transpose", true, perm=[1, 0]), found))


def _share(site: Site, part: Tensor, whole: Tensor, of_nothing: Operand) -> Tensor:
    return site.where(site.op("Greater", whole, 0.0), site.op("Div", part, whole), of_nothing)


@writes(layers.LabelsequenceAccuracy, precise=True)
def label_sequence_accuracy(site: Site, scores: Tensor, label: Tensor) -> Tensor:
    streams, steps, classes = site.sizes()[:3]
    width = site.product(site.sizes(1)[1:])
    (known,) = site.known(site.bottoms[0][2:3], "the number of classes")
    blank = class_index(site.layer.blank, known)
    flat = scores if site.rank == 3 else site.reshape(scores, [streams, steps, classes])
    path, length = packed(site, site.op("ArgMax", flat, axis=2, keepdims=0), steps, blank, merge=True)
    wanted = site.reshape(site.cast(label, "int64"), [streams, width])
    wanted, count = packed(site, wanted, width, blank, merge=False)
    both = site.calculate("Min", steps, width)
    same = site.op("Equal", *(site.slice(one, 1, 0, both) for one in (path, wanted)))
    apart = site.reduce("ReduceSum", site.cast(site.op("Not", same), "int64"), [1])
    met = site.op("And", site.op("Equal", apart, [0]), site.op("Equal", length, count))
    return str(site.op("ReduceMean", site.cast(met, "float"), keepdims=0))


@writes(layers.CTCLoss, layers.CtcLoss, layers.WarpCTCLoss, precise=True)
def sequence_loss(site: Site, *bottoms: Tensor) -> Tensor:
    site.refuse("it sums over all alignments of a label sequence, which is for training")


@writes(layers.MultiStageMeanfield, precise=True)
def mean_field(site: Site, *bottoms: Tensor) -> Tensor:
    site.refuse("it filters in a lattice that is built of the colours while it runs")
