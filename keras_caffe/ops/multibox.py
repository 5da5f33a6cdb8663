"""The SSD loss (weiliu89/caffe ssd, multibox_loss_layer.cpp)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError
from keras_caffe.ops.boxes import Boxes, decode, encode, first_priors, split
from keras_caffe.ops.distances import smooth_l1
from keras_caffe.ops.indices import checked_labels, places
from keras_caffe.ops.losses import LOG_FLT_MIN, log_probability, with_gradient_of
from keras_caffe.ops.matching import NEGATIVE, Truth, ground_truth, match, mine, objects_alike
from keras_caffe.ops.refusals import refused

TRUTH = 3  # the bottom with the boxes


@dataclass(frozen=True)
class MultiBoxRules:
    """The fields of MultiBoxLossParameter and of its LossParameter, under their own names.

    `nms_threshold` is None where the file has no nms_param; `top_k` is 0, so that nothing is left, where the nms_param
    has none: Caffe reads it so. `objectness_score` counts beside the priors' own scores only. `objects_alike` is no
    field: of two classes, labels above 1 mean 1, too, as in RefineDet.
    """

    num_classes: int
    loc_loss_type: str = "SMOOTH_L1"
    conf_loss_type: str = "SOFTMAX"
    loc_weight: float = 1.0
    share_location: bool = True
    match_type: str = "PER_PREDICTION"
    overlap_threshold: float = 0.5
    use_prior_for_matching: bool = True
    background_label_id: int = 0
    use_difficult_gt: bool = True
    mining_type: str = "MAX_NEGATIVE"
    neg_pos_ratio: float = 3.0
    neg_overlap: float = 0.5
    code_type: str = "CORNER"
    encode_variance_in_target: bool = False
    map_object_to_agnostic: bool = False
    ignore_cross_boundary_bbox: bool = False
    bp_inside: bool = False
    nms_threshold: float | None = None
    top_k: int = 0
    sample_size: int = 64
    use_prior_for_nms: bool = False
    normalization: str = "VALID"
    objectness_score: float = 0.01
    objects_alike: bool = False

    @property
    def sets(self) -> int:
        """The number of locations per prior."""
        return 1 if self.share_location else self.num_classes


def check_own(rules: MultiBoxRules) -> None:
    """Raises LayerError if rules do not go together with scores of the priors' own."""
    if rules.nms_threshold and rules.mining_type != "NONE":
        raise LayerError(
            "RefineDet's layer mixes up the priors where nms_param meets their own scores",
            fix="Leave nms_param (nms_threshold) out.",
        )


def multibox_loss(
    rules: MultiBoxRules,
    locations: Any,
    scores: Any,
    priors: Any,
    truth: Any,
    own_scores: Any = None,
    own_locations: Any = None,
) -> tuple[Any, Any]:
    """Location loss of the matched priors and class loss of those that count, both over the normaliser.

    Args:
        rules: the loss's parameters.
        locations: (N, P * sets * 4). scores: (N, P * classes). priors: (1, 2, P * 4). truth: (1, 1, G, 8).
        own_scores: (N, P * 2) or None: what is no object by the second of the prior's two is never mined.
        own_locations: (N, P * 4) or None: shift the priors; these are then matched, and `locations` relative to them.

    Returns:
        loc_weight times the location loss, class loss; two scalars.

    Raises:
        LayerError: see `check_own`.
    """
    if own_scores is not None:
        check_own(rules)
    batch = ops.shape(locations)[0]
    scores = ops.reshape(scores, (batch, -1, rules.num_classes))
    codes = split(ops.transpose(ops.reshape(locations, (batch, -1, rules.sets, 4)), (0, 2, 1, 3)))  # (N, sets, P)
    halves = ops.stop_gradient(first_priors(priors))[:, None, None]
    prior, variance = split(halves[0]), split(halves[1])
    truth = objects_alike(truth) if rules.objects_alike else truth
    real = ground_truth(ops.stop_gradient(truth), batch, rules.use_difficult_gt)
    real = real._replace(labels=_checked_labels(real, rules))
    still = tuple(ops.stop_gradient(side) for side in codes)
    coding = None if rules.encode_variance_in_target else variance, rules.code_type
    decoded = decode(still, prior, *coding)
    shifted, placed = prior, decoded
    if own_locations is not None:
        own = ops.reshape(ops.stop_gradient(own_locations), (batch, 1, -1, 4))
        shifted = decode(split(own), prior, *coding)
        placed = decode(still, shifted, *coding)
    index, best = _match(decoded, shifted, real, rules)
    located = _location_losses(codes, placed, index, shifted, variance, real, rules)
    counted = None
    if rules.mining_type != "NONE":
        # RefineDet's mining looks at the priors as if nothing had shifted them.
        rated = located
        if own_locations is not None:
            rated = _location_losses(codes, decoded, index, prior, variance, real, rules)
        index, counted = _mine(scores, rated, index, best, decoded, prior, real, rules, own_scores)
    matched = index > NEGATIVE
    norm = _normalizer(matched, rules)
    location = ops.sum(ops.where(matched, located, 0)) / norm
    return rules.loc_weight * location, _class_loss(scores, index, counted, real, rules) / norm


def _checked_labels(truth: Truth, rules: MultiBoxRules) -> Any:
    """The labels of the boxes, none of them the background's or of no class; unmined agnostic ones pass."""
    background = truth.there & (truth.labels == rules.background_label_id)
    fields = {"problem": "ground truth{} has the label of the background", "bottom": TRUTH}
    labels = refused(background, truth.labels, rules.num_classes, fields)
    if rules.mining_type == "NONE" and rules.map_object_to_agnostic:
        return labels
    return checked_labels(labels, rules.num_classes, bottom=TRUTH, counted=truth.there)


def _match(decoded: Boxes, prior: Boxes, truth: Truth, rules: MultiBoxRules) -> tuple[Any, Any]:
    """(N, sets, P) index into the ground truth and (N, sets, P) greatest overlap."""
    options = {
        "per_prediction": rules.match_type == "PER_PREDICTION",
        "threshold": rules.overlap_threshold,
        "ignore_crossing": rules.ignore_cross_boundary_bbox,
    }
    if not rules.use_prior_for_matching:
        return _match_decoded(decoded, truth, rules, options)
    index, best = match(tuple(side[:, 0] for side in prior), truth, **options)  # type: ignore[arg-type]
    index, best = index[:, None], best[:, None]
    if rules.share_location:
        return index, best
    classes = ops.arange(rules.sets, dtype="int32")[:, None]
    mine_only = (ops.take(truth.labels, _boxes_at(index, truth)) == classes) & (classes != rules.background_label_id)
    return ops.where((index > NEGATIVE) & mine_only, index, NEGATIVE), ops.repeat(best, rules.sets, axis=1)


def _match_decoded(decoded: Boxes, truth: Truth, rules: MultiBoxRules, options: dict[str, Any]) -> tuple[Any, Any]:
    """`_match` of the decoded boxes: each set of locations is an image of its own, in which only its class is there."""
    if not rules.share_location:
        truth = truth.by_class(rules.sets)
    images, sets, priors = ops.shape(decoded[0])
    boxes = tuple(ops.reshape(side, (images * sets, priors)) for side in decoded)
    index, best = match(boxes, truth, **options)  # type: ignore[arg-type]
    return ops.reshape(index, (images, sets, priors)), ops.reshape(best, (images, sets, priors))


def _boxes_at(index: Any, truth: Truth) -> Any:
    """Where in the values (N, M) of the ground truth those of index (N, [sets,] P) are; anywhere if it names none."""
    images, *others = ops.shape(index)
    flat = ops.reshape(ops.maximum(index, 0), (images, math.prod(others)))
    return ops.reshape(places(flat, ops.shape(truth.labels)[1]), (images, *others))


def _location_losses(
    codes: Boxes, decoded: Boxes, index: Any, prior: Boxes, variance: Boxes, truth: Truth, rules: MultiBoxRules
) -> Any:
    """(N, sets, P) loss of each location against the ground truth it is matched to; 0 for the others."""
    matched = index > NEGATIVE
    at = _boxes_at(index, truth)
    goal = tuple(ops.where(matched, ops.take(side, at), p) for side, p in zip(truth.boxes, prior, strict=True))
    inside = prior if rules.use_prior_for_matching else decoded
    target = encode(goal, prior, None if rules.encode_variance_in_target else variance, rules.code_type)  # type: ignore[arg-type]
    total = 0
    for code, want, scale, place in zip(codes, target, variance, inside, strict=True):
        if rules.bp_inside:
            code = ops.where((place < 0) | (place > 1), want, code)
        difference = ops.where(matched, code - want, 0)
        if rules.encode_variance_in_target:
            # Caffe hands the gradient back without dividing it by the variance.
            difference = with_gradient_of(difference / scale, difference)
        total += smooth_l1(difference) if rules.loc_loss_type == "SMOOTH_L1" else 0.5 * ops.square(difference)
    return total


def _labels(index: Any, truth: Truth, rules: MultiBoxRules) -> Any:
    """(N, P) class that each prior should have: the last set that is matched decides, background if none."""
    matched = index > NEGATIVE
    if rules.map_object_to_agnostic:
        own = rules.background_label_id + 1
    elif rules.share_location:
        own = ops.take(truth.labels, _boxes_at(index[:, 0], truth))
    else:  # the set of a class is matched with boxes of that class alone
        own = ops.max(ops.where(matched, ops.arange(rules.sets, dtype="int32")[:, None], 0), axis=1)
    return ops.where(ops.any(matched, axis=1), own, rules.background_label_id)


def _mine(
    scores: Any,
    located: Any,
    index: Any,
    best: Any,
    decoded: Boxes,
    prior: Boxes,
    truth: Truth,
    rules: MultiBoxRules,
    own_scores: Any,
) -> tuple[Any, Any]:
    """The matches that stay and, (N, P), the priors whose classes count. Locations are shared, so there is one set."""
    scores, located = ops.stop_gradient(scores), ops.stop_gradient(located)
    index, best = index[:, 0], best[:, 0]
    hard = rules.mining_type == "HARD_EXAMPLE"
    loss = -_class_terms(scores, _labels(index[:, None], truth, rules), rules)
    matched = index > NEGATIVE
    if hard:
        eligible, loss = ops.ones_like(matched), loss + located[:, 0]
        quota = ops.full_like(index[:, 0], rules.sample_size)
    else:
        eligible = (index == NEGATIVE) & (best < rules.neg_overlap)
        quota = ops.cast(ops.sum(ops.cast(matched, scores.dtype), axis=1) * rules.neg_pos_ratio, "int32")
    if own_scores is not None:
        own = ops.reshape(own_scores, (*ops.shape(index), 2))[..., 1]
        eligible = eligible & (own >= rules.objectness_score)
    boxes = None
    if rules.nms_threshold:
        boxes = tuple(side[:, 0] for side in (prior if rules.use_prior_for_nms else decoded))
    chosen = mine(loss, index, eligible, quota, boxes, rules.nms_threshold or 0.0, rules.top_k)  # type: ignore[arg-type]
    # An image without ground truth has neither positives nor negatives.
    chosen = chosen & ops.any(truth.there, axis=1, keepdims=True)
    if hard:
        index = ops.where(matched & ~chosen, NEGATIVE, index)
        return index[:, None], chosen & (matched | (index == NEGATIVE))
    return index[:, None], matched | (chosen & (index == NEGATIVE))


def _class_terms(scores: Any, labels: Any, rules: MultiBoxRules) -> Any:
    """(N, P) minus the class loss that ranks the priors."""
    if rules.conf_loss_type == "SOFTMAX":
        return ops.maximum(log_probability(scores, labels), LOG_FLT_MIN)
    target = ops.one_hot(labels, rules.num_classes, dtype=scores.dtype)
    return -ops.sum(ops.softplus(scores) - scores * target, axis=-1)


def _class_loss(scores: Any, index: Any, counted: Any, truth: Truth, rules: MultiBoxRules) -> Any:
    labels = _labels(index, truth, rules)
    if rules.conf_loss_type == "SOFTMAX":
        log = log_probability(scores, labels)
        loss = -with_gradient_of(ops.maximum(log, LOG_FLT_MIN), log)
    else:
        loss = ops.sum(ops.softplus(scores) - scores * _logistic_target(scores, index, counted, labels, rules), axis=-1)
    return ops.sum(loss if counted is None else ops.where(counted, loss, 0))


def _logistic_target(scores: Any, index: Any, counted: Any, labels: Any, rules: MultiBoxRules) -> Any:
    """Targets are 1 at the label and the number of the background elsewhere: Caffe fills them so."""
    if counted is not None:
        hit = ops.one_hot(labels, rules.num_classes, dtype=scores.dtype) > 0
    else:
        # Without mining only matches are marked, and Caffe moves on by P, not P * classes, from image to image.
        batch, priors, classes = ops.shape(scores)
        start = ops.arange(batch, dtype="int32")[:, None] * priors + ops.arange(priors, dtype="int32") * classes
        matched = ops.any(index > NEGATIVE, axis=1)
        place = ops.reshape(ops.where(matched, start + labels, 0), (-1, 1))
        marks = ops.scatter(place, ops.cast(ops.reshape(matched, (-1,)), scores.dtype), (batch * priors * classes,))
        hit = ops.reshape(marks, (batch, priors, classes)) > 0
    return ops.where(hit, 1.0, ops.cast(rules.background_label_id, scores.dtype))


def _normalizer(matched: Any, rules: MultiBoxRules) -> Any:
    batch, _, priors = ops.shape(matched)
    count = {
        "FULL": lambda: batch * priors,
        "VALID": lambda: ops.sum(ops.cast(matched, "float32")),
        "BATCH_SIZE": lambda: batch,
        "NONE": lambda: 1,
    }[rules.normalization]()
    return ops.maximum(ops.cast(count, "float32"), 1)
