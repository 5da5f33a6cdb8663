"""Losses and Accuracy for plain Keras models: Caffe's scalars, configs, training."""

from __future__ import annotations

import re

import keras
import numpy as np
import pytest

from keras_caffe import losses, metrics
from keras_caffe.errors import CaffeError
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


def test_accuracy_config() -> None:
    metric = metrics.Accuracy(top_k=2, axis=1, ignore_label=0, ties="ssd", name="top2")
    copy = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert copy.get_config() == metric.get_config()
