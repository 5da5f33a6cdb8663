"""Losses and Accuracy for plain Keras models: Caffe's scalars, configs, training."""

from __future__ import annotations

import re
from typing import Any

import keras
import numpy as np
import pytest

from keras_caffe import layers, losses, metrics
from keras_caffe.errors import CaffeError, LayerError, ShapeError
from tests.layers.golden_case import Golden, assert_close, cases


def option(case: Golden, name: str, default: str | None = None) -> str | None:
    found = re.search(rf"\b{name}: (\S+)", case.text)
    return found[1] if found else default


def loss_of(case: Golden) -> losses.CaffeLoss:
    ignore = option(case, "ignore_label")
    rules = {"ignore_label": None if ignore is None else int(ignore)}
    if mode := option(case, "normalization"):
        rules["normalization"] = mode
    elif normalize := option(case, "normalize"):
        rules["normalization"] = "VALID" if normalize == "true" else "BATCH_SIZE"
    margin, legacy = float(option(case, "margin", "1")), option(case, "legacy_version") == "true"
    return {
        "SoftmaxWithLoss": lambda: losses.SoftmaxWithLoss(axis=1, **rules),
        "InfogainLoss": lambda: losses.Infogain(
            case.arrays["bottom/2"].reshape(k := case.arrays["bottom/0"].shape[1], k), 1, **rules
        ),
        "SigmoidCrossEntropyLoss": lambda: losses.SigmoidCrossEntropy(**rules),
        "HingeLoss": lambda: losses.Hinge(option(case, "norm", "L1")),
        "EuclideanLoss": losses.Euclidean,
        "ContrastiveLoss": lambda: losses.Contrastive(margin, legacy),
        "SmoothL1Loss_rcnn": lambda: losses.SmoothL1(float(option(case, "sigma", "1"))),
    }[case.kind]()


def selected() -> list[Golden]:
    kinds = [
        "SoftmaxWithLoss",
        "InfogainLoss",
        "SigmoidCrossEntropyLoss",
        "HingeLoss",
        "EuclideanLoss",
        "ContrastiveLoss",
    ]
    found = [case for kind in [*kinds, "SmoothL1Loss_rcnn"] for case in cases(kind)]
    return [case for case in found if fits(case)]


def fits(case: Golden) -> bool:
    """Cases whose classes are on axis 1 and whose weights are bottoms the plain loss has too."""
    bottoms = case.group("bottom")
    if case.kind == "InfogainLoss" and len(bottoms) < 3:
        return False
    if case.kind == "SmoothL1Loss_rcnn" and len(bottoms) > 2:
        return False
    return int(option(case, "axis", "1")) in (1, 1 - bottoms[0].ndim)


@pytest.mark.parametrize("case", selected(), ids=str)
def test_a_batch_costs_what_caffe_says(case: Golden) -> None:
    bottoms = case.group("bottom")
    loss = loss_of(case)
    copy = keras.losses.deserialize(keras.losses.serialize(loss))
    for one in (loss, copy):
        value = (
            one(bottoms[2], [bottoms[0], bottoms[1]]) if case.kind == "ContrastiveLoss" else one(bottoms[1], bottoms[0])
        )
        assert_close(case, value, case.arrays["top/0"], "loss")


def test_pairs_may_come_as_one_tensor() -> None:
    rng = np.random.default_rng(0)
    a, b, similar = rng.normal(size=(5, 3)), rng.normal(size=(5, 3)), np.array([1, 0, 0, 1, 0])
    loss = losses.Contrastive(margin=3.0)
    want = loss(similar, [a, b])
    np.testing.assert_allclose(loss(similar, np.stack([a, b], axis=1)), want, rtol=1e-6)
    np.testing.assert_allclose(loss(similar, np.concatenate([a, b], axis=1)), want, rtol=1e-6)


def multi_box_case() -> tuple[Golden, losses.MultiBox]:
    case = next(case for case in cases("MultiBoxLoss") if case.name == "c0006")
    return case, losses.MultiBox(4, mining_type="MAX_NEGATIVE", code_type="CENTER_SIZE")


def test_multi_box() -> None:
    case, loss = multi_box_case()
    loc, conf, prior, truth = case.group("bottom").values()
    copy = keras.losses.deserialize(keras.losses.serialize(loss))
    assert_close(case, copy(truth, (loc, conf, prior)), case.arrays["top/0"], "loss")


def test_multi_box_by_image() -> None:
    case, loss = multi_box_case()
    loc, conf, prior, truth = case.group("bottom").values()
    batch, priors = len(loc), prior.size // 8
    both = np.broadcast_to(prior.reshape(2, 1, priors, 4), (2, batch, priors, 4))
    y_pred = np.concatenate([loc.reshape(batch, priors, 4), conf.reshape(batch, priors, 4), *both], axis=-1)
    y_true = np.full((batch, truth.size // 8, 8), -1.0)
    for rank, row in enumerate(truth.reshape(-1, 8)):
        if row[0] >= 0:
            y_true[int(row[0]), rank] = row
    assert_close(case, loss(y_true, y_pred), case.arrays["top/0"], "loss")


def test_sample_weights_are_refused() -> None:
    with pytest.raises(CaffeError, match="no sample weights"):
        losses.Euclidean()(np.ones((2, 3)), np.ones((2, 3)), sample_weight=np.ones(2))


def test_masks_are_refused() -> None:
    """Keras would multiply the scalar by the number of places that are not masked."""
    tokens = keras.Input((4,), dtype="int32")
    model = keras.Model(tokens, keras.layers.Dense(3)(keras.layers.Embedding(10, 5, mask_zero=True)(tokens)))
    model.compile("sgd", loss=losses.SoftmaxWithLoss())
    with pytest.raises(CaffeError, match="SoftmaxWithLoss takes no mask"):
        model.evaluate(np.array([[1, 2, 0, 0], [3, 4, 5, 0]]), np.zeros((2, 4)), verbose=0)


ALIKE = (losses.Euclidean(), losses.SmoothL1(), losses.SigmoidCrossEntropy())


@pytest.mark.parametrize("loss", ALIKE, ids=lambda loss: loss.name)
def test_targets_of_another_shape_are_refused(loss: losses.CaffeLoss) -> None:
    with pytest.raises(ShapeError, match="the same first dimension; expected \\(4,\\); received \\(2,\\)"):
        loss(np.zeros((2, 4)), np.ones((4, 2)))
    with pytest.raises(ShapeError, match="as many values per sample as y_pred; expected 2; received 1"):
        loss(np.zeros((4, 1)), np.ones((4, 2)))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "mixed_bfloat16"])
def test_half_precision_does_not_round_labels(dtype: str) -> None:
    scores = np.zeros((1, 300), "float32")
    scores[0, 257] = 5
    want = float(losses.SoftmaxWithLoss()(np.array([257]), scores))
    assert float(losses.SoftmaxWithLoss(dtype=dtype)(np.array([257]), scores)) == want
    layer = layers.SoftmaxWithLoss(dtype=dtype)
    assert float(layer([scores, np.array([257], "float32")])) == want


def test_a_label_of_no_class_makes_the_accuracy_of_a_fit_nan() -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Identity()])
    model.compile(
        "sgd",
        loss=losses.SoftmaxWithLoss(),
        metrics=[metrics.Accuracy(), metrics.Accuracy(ignore_label=5, name="some")],
    )
    logs = model.evaluate(np.eye(3)[[0, 0]], np.array([0, 5]), verbose=0, return_dict=True)
    assert np.isnan(logs["accuracy"]) and logs["some"] == 1


def test_training_with_caffes_loss_and_metric() -> None:
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 4)).astype("float32")
    y = x.argmax(axis=1).astype("float32")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    model.compile("sgd", losses.SoftmaxWithLoss(), metrics=[metrics.Accuracy()])
    history = model.fit(x, y, batch_size=16, epochs=12, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert history["accuracy"][-1] > history["accuracy"][0]


def test_accuracy_weighs_batches_alike() -> None:
    metric = metrics.Accuracy()
    metric.update_state([0, 1], np.eye(2))
    metric.update_state([1], np.eye(2)[:1])
    assert float(metric.result()) == 0.5
    metric.reset_state()
    assert float(metric.result()) == 0


RIGHT_THEN_WRONG = np.eye(2)[[0, 0]]  # scores of two samples whose labels are 0 and 1


@pytest.mark.parametrize(
    ("weights", "want"),
    [([0, 1], 0), ([1, 0], 1), ([3, 1], 0.75), ([[3], [1]], 0.75), ([0.25, 0.5], 1 / 3), (2, 0.5), ([0, 0], 0)],
)
def test_accuracy_with_sample_weights(weights: list[float], want: float) -> None:
    metric = metrics.Accuracy()
    for labels in (np.array([0, 1]), np.array([[0], [1]])):
        metric.reset_state()
        metric.update_state(labels, RIGHT_THEN_WRONG, sample_weight=np.array(weights))
        assert float(metric.result()) == pytest.approx(want)


def test_accuracy_weighs_all_places_of_a_sample_alike_or_each_on_its_own() -> None:
    labels, scores = np.array([[0, 1, 1], [0, 0, 1]]), np.eye(2)[[[0, 0, 0], [0, 0, 0]]]
    metric = metrics.Accuracy(ignore_label=1)
    for weights, want in ((None, 1.0), ([1, 2], 1.0), ([[1, 0, 0], [0, 1, 5]], 1.0)):
        metric.reset_state()
        metric.update_state(labels, scores, sample_weight=weights)
        assert float(metric.result()) == want
    metric = metrics.Accuracy()
    for weights, want in (([1, 2], 5 / 9), ([[1, 1, 0], [0, 0, 2]], 1 / 4)):
        metric.reset_state()
        metric.update_state(labels, scores, sample_weight=weights)
        assert float(metric.result()) == pytest.approx(want)


def test_accuracy_without_weight_is_nan_in_ssd() -> None:
    metric = metrics.Accuracy(ties="ssd")
    metric.update_state([0, 1], RIGHT_THEN_WRONG, sample_weight=[0, 0])
    assert np.isnan(float(metric.result()))


def test_keras_hands_sample_weights_to_weighted_metrics_only() -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Identity()])
    weighted = metrics.Accuracy(name="weighted")
    model.compile(loss="mse", metrics=[metrics.Accuracy()], weighted_metrics=[weighted])
    scores = model.evaluate(
        RIGHT_THEN_WRONG, np.array([[0.0], [1.0]]), sample_weight=np.array([0.0, 1.0]), return_dict=True, verbose=0
    )
    assert (scores["accuracy"], scores["weighted"]) == (0.5, 0)


@pytest.mark.parametrize(
    ("weights", "received"),
    [([1, 1, 1], r"\(3,\)"), ([[1, 1], [1, 1]], r"\(2, 2\)"), (np.ones((1, 1, 2)), r"\(1, 1, 2\)")],
)
def test_sample_weights_of_another_shape_are_refused(weights: list[float], received: str) -> None:
    with pytest.raises(ShapeError, match=rf"sample_weight does not fit y_true; .*received {received}"):
        metrics.Accuracy().update_state([0, 1], RIGHT_THEN_WRONG, sample_weight=weights)


PLACES = [losses.SoftmaxWithLoss(), losses.Infogain(np.eye(2)), metrics.Accuracy()]


@pytest.mark.parametrize("what", PLACES, ids=lambda what: type(what).__name__)
def test_labels_that_do_not_fit_are_refused(what: Any) -> None:
    with pytest.raises(ShapeError, match="the number of labels does not match"):
        what(np.zeros(3), RIGHT_THEN_WRONG)
    copy = type(what).from_config({**what.get_config(), "axis": 2})
    with pytest.raises(LayerError, match="axis is out of range; expected -2 <= axis < 2; received 2"):
        copy(np.zeros(2), RIGHT_THEN_WRONG)


def test_more_best_classes_than_classes_are_refused() -> None:
    with pytest.raises(LayerError, match="top_k is beyond the number of classes; expected at most 2; received 3"):
        metrics.Accuracy(top_k=3).update_state([0, 1], RIGHT_THEN_WRONG)


def test_accuracy_config() -> None:
    metric = metrics.Accuracy(top_k=2, axis=1, ignore_label=0, ties="ssd", name="top2")
    copy = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert copy.get_config() == metric.get_config()
