"""MultiBoxLoss in random settings, SSD's and RefineDet's, against plain loops: its value and both gradients."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe import losses
from keras_caffe.errors import LayerError
from keras_caffe.layers import MultiBoxLoss
from keras_caffe.ops.multibox import MultiBoxRules
from tests.layers.ssd_loops import Loop

SEEDS = range(12)
REFINING = [(seed, own) for seed in range(100, 106) for own in (1, 2)]  # scores; scores and shifts


def boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    low = rng.uniform(-0.1, 0.7, (count, 2))
    return np.concatenate([low, low + rng.uniform(0.05, 0.4, (count, 2))], axis=1).astype("float32")


def any_rules(rng: np.random.Generator) -> MultiBoxRules:
    def one_of(*values):
        return values[rng.integers(len(values))]

    classes, soft, mining = int(rng.integers(2, 5)), one_of(True, False), one_of("NONE", "MAX_NEGATIVE", "HARD_EXAMPLE")
    background = one_of(0, int(rng.integers(classes)), *([-1] if mining == "NONE" and not soft else []))
    return MultiBoxRules(
        classes,
        loc_loss_type=one_of("L2", "SMOOTH_L1"),
        conf_loss_type="SOFTMAX" if soft else "LOGISTIC",
        loc_weight=one_of(1.0, 0.5, 2.0),
        share_location=mining != "NONE" or one_of(True, False),
        match_type=one_of("BIPARTITE", "PER_PREDICTION"),
        overlap_threshold=one_of(0.1, 0.3, 0.5),
        use_prior_for_matching=one_of(True, False),
        background_label_id=background,
        use_difficult_gt=one_of(True, False),
        mining_type=mining,
        neg_pos_ratio=one_of(0.0, 1.0, 2.5, 3.0),
        neg_overlap=one_of(0.1, 0.5),
        code_type=one_of("CORNER", "CENTER_SIZE", "CORNER_SIZE"),
        encode_variance_in_target=one_of(True, False),
        map_object_to_agnostic=(classes, background) == (2, 0) and one_of(True, False),
        ignore_cross_boundary_bbox=one_of(True, False),
        bp_inside=one_of(True, False),
        nms_threshold=one_of(None, 0.0, 0.3, 0.7),
        top_k=one_of(-1, 0, 3, 10),
        sample_size=one_of(1, 3, 64),
        use_prior_for_nms=one_of(True, False),
        normalization=one_of("FULL", "VALID", "BATCH_SIZE", "NONE"),
    )


def any_bottoms(rng: np.random.Generator, rules: MultiBoxRules) -> list[np.ndarray]:
    images, priors, truths = (int(rng.integers(*span)) for span in ((1, 4), (3, 20), (0, 6)))
    locations = rng.normal(0, 0.5, (images, priors * 4 * rules.sets)).astype("float32")
    scores = rng.normal(0, 2, (images, priors * rules.num_classes)).astype("float32")
    prior = np.stack([boxes(rng, priors), rng.choice([0.1, 0.2, 0.5], (priors, 4))]).astype("float32")
    known = range(4 if rules.objects_alike else rules.num_classes)
    labels = [label for label in known if label != rules.background_label_id]
    truth = np.zeros((1, 1, truths, 8), "float32")
    for row in truth[0, 0]:
        near = prior[0, rng.integers(priors)] + rng.normal(0, 0.02, 4)
        row[:] = [rng.integers(-1, images), rng.choice(labels), 0, *near, rng.integers(2)]
    return [locations, scores, prior.reshape(1, 2, -1), truth]


def check(bottoms: list[np.ndarray], rules: MultiBoxRules) -> None:
    watched = [tf.constant(x) for x in bottoms[:2]]
    with tf.GradientTape() as tape:
        tape.watch(watched)
        loss = MultiBoxLoss(**asdict(rules))([*watched, *bottoms[2:]])
    value, *gradients = Loop(bottoms, rules).run()
    np.testing.assert_allclose(loss, value, rtol=1e-4, atol=1e-5)
    for have, want in zip(tape.gradient(loss, watched, unconnected_gradients="zero"), gradients, strict=True):
        want = want.reshape(have.shape)
        np.testing.assert_allclose(have, want, rtol=1e-4, atol=2e-5 * max(1, abs(want).max()))


@pytest.mark.parametrize("seed", SEEDS)
def test_value_and_gradients_are_those_of_plain_loops(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rules = any_rules(rng)
    check(any_bottoms(rng, rules), rules)


@pytest.mark.parametrize(("seed", "own"), REFINING)
def test_value_and_gradients_of_refinedets_layer(seed: int, own: int) -> None:
    rng = np.random.default_rng(seed)
    rules = replace(any_rules(rng), nms_threshold=None, objectness_score=rng.choice([0.01, 0.3, 0.6]))
    if own == 2:
        rules = replace(rules, share_location=True)
    if (rules.num_classes, rules.background_label_id) == (2, 0):
        rules = replace(rules, objects_alike=True)
    bottoms = any_bottoms(rng, rules)
    images, values = len(bottoms[0]), bottoms[2].shape[-1]
    mine = rng.uniform(0, 1, (images, values // 2)).astype("float32")
    shifts = rng.normal(0, 0.4, (images, values)).astype("float32")
    bottoms += [mine, shifts][:own]
    check(bottoms, rules)
    y_true, y_pred = bottoms.pop(3), bottoms
    of_keras = losses.MultiBox(**asdict(rules))(y_true, y_pred)
    np.testing.assert_allclose(of_keras, MultiBoxLoss(**asdict(rules))([*y_pred[:3], y_true, *y_pred[3:]]), rtol=1e-6)
    mining = replace(rules, nms_threshold=0.5, mining_type="MAX_NEGATIVE", share_location=True)
    if rules.share_location:
        with pytest.raises(LayerError, match="mixes up the priors.*Leave nms_param"):
            losses.MultiBox(**asdict(mining))(y_true, y_pred)
