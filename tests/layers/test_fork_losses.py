"""TripletLoss, FocalLoss and LabelSpecificAdd: what their arrays do not show."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import keras_caffe
from keras_caffe.errors import CaffeError, LayerError
from keras_caffe.layers import FocalLoss, LabelSpecificAdd, SoftmaxWithLoss, TripletLoss
from tests.layers.cases import Case
from tests.layers.layer_case import tops
from tests.nets import net_with
from tests.random_nets.draft import Draft
from tests.random_nets.parts_losses import class_labels, loss_fields, row_labels

NUMBERS = ("bias", "bias_base", "bias_gamma", "bias_power", "bias_min", "bias_max")
CASES = [
    Case(
        "TripletLoss",
        TripletLoss(),
        [(None, 5)] * 3,
        refused=[({"margin": "1"}, "margin must be a number; received '1'")],
    ),
    Case(
        "FocalLoss",
        FocalLoss(),
        [(None, 3), (None,)],
        refused=[
            ({"type": "SQUARE"}, "unknown type; expected one of ORIGIN, LINEAR, ONEADDP; received 'SQUARE'"),
            ({"gamma": "2"}, "gamma must be a number; received '2'"),
            ({"alpha": None}, "alpha must be a number; received None"),
            ({"axis": "1"}, "axis must be a whole number; received '1'"),
            ({"batch_axes": -1}, "batch_axes must be a whole number of at least 0; received -1"),
            ({"ignore_label": 0.5}, "ignore_label must be a whole number; received 0.5"),
            ({"normalization": "VALIDE"}, r"unknown normalization; .*Did you mean 'VALID'\?"),
        ],
    ),
    Case(
        "LabelSpecificAdd",
        LabelSpecificAdd(0.5, with_bias=True),
        [(None, 3), (None,)],
        refused=[
            *(({name: "1"}, f"{name} must be a number; received '1'") for name in NUMBERS),
            ({"iteration": -1}, "iteration must be a whole number of at least 0; received -1"),
            ({"with_bias": "no"}, "with_bias must be True or False; received 'no'"),
        ],
    ),
]


def triplet_loss(draft: Draft) -> None:
    anchor = draft.bottom(2)
    bottoms = [anchor, draft.like(anchor), draft.like(anchor)]
    draft.add("TripletLoss", bottoms, f"triplet_loss_param {{ {draft.fields(margin=(3, None))} }}")


def focal_loss(draft: Draft) -> None:
    scores = draft.bottom(2, 3, 4)
    form = draft.fields(type=("ONEADDP", None), gamma=(1, None))
    more = f"focal_loss_param {{ {form} }} {loss_fields(draft)}"
    draft.add("FocalLoss", [scores, class_labels(draft, scores, 1)], more)


def label_specific_add(draft: Draft) -> None:
    scores = draft.bottom(2)
    form = draft.fields(bias=(0.25, -0.5), bias_base=(0.1, None), bias_max=(0.5,))
    labels = row_labels(draft, scores, scores.shape[1])
    draft.add("LabelSpecificAdd", [scores, labels], f"label_specific_add_param {{ {form} }}", draft.choose((1, 2)))


PARTS = {"TripletLoss": triplet_loss, "FocalLoss": focal_loss, "LabelSpecificAdd": label_specific_add}

SCORES = np.random.default_rng(0).normal(0, 3, (6, 4)).astype("float32")
LABELS = np.float32([0, 3, 2, 1, 1, 0])


def gradient(layer, scores: np.ndarray) -> tuple[float, np.ndarray]:
    x = tf.constant(scores)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = layer([x, LABELS])
    return float(loss), tape.gradient(loss, x).numpy()


def test_a_focal_loss_without_focus_is_the_softmax_loss() -> None:
    for plain, focal in zip(gradient(SoftmaxWithLoss(), SCORES), gradient(FocalLoss(gamma=0), SCORES), strict=True):
        np.testing.assert_allclose(focal, plain, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("arguments", [{}, {"gamma": 0.5}, {"type": "ONEADDP", "gamma": 1.5}])
def test_the_gradient_of_a_focal_loss_is_its_slope(arguments: dict) -> None:
    layer = FocalLoss(**arguments, dtype="float64")
    _, found = gradient(layer, SCORES.astype("float64"))
    for place in np.ndindex(2, 4):
        step = np.zeros(SCORES.shape)
        step[place] = 1e-5
        up, down = (float(layer([SCORES + sign * step, LABELS.astype("float64")])) for sign in (1, -1))
        assert found[place] == pytest.approx((up - down) / 2e-5, rel=1e-5, abs=1e-8)


def test_sure_and_hopeless_labels_leave_a_focal_loss_finite() -> None:
    loss, slope = gradient(FocalLoss(gamma=0.5), np.float32([[200, 0, 0, 0], [0, 200, 0, 0]] * 3))
    assert np.isfinite(loss) and np.isfinite(slope).all()
    nothing, _ = gradient(FocalLoss(gamma=0.5, alpha=0.5), np.float32([[200, 0, 0, 0]] * 6))
    assert np.isnan(nothing)  # a root of alpha - p < 0


def test_the_bias_grows_with_the_passes_of_training() -> None:
    fields = "bias_base: 0.25 bias_gamma: 0.5 bias_max: 1 iteration: 1"
    text = net_with("LabelSpecificAdd", (1, 2), (1,), param=f"label_specific_add_param {{ {fields} }}", tops="y bias")
    model = keras_caffe.load(text, phase="TRAIN")
    x = {"x0": np.float32([[1, -3]]), "x1": np.float32([0])}
    run = tf.function(model, autograph=False)
    seen = [run(x, training=training) for training in (True, False, True, True)]
    np.testing.assert_allclose([float(tops["bias"][0]) for tops in seen], [0.75, 1, 1, 1])
    np.testing.assert_allclose([tops["y"][0] for tops in seen], [[1.75, -3], [1, -3], [2, -3], [2, -3]])
    assert int(model.caffe_layers["layer"].passes) == 4


def test_scores_below_the_bias_and_other_classes_stay() -> None:
    layer = LabelSpecificAdd(0.5)
    x = np.float32([[-0.25, -0.25], [-0.75, 1]])
    np.testing.assert_array_equal(layer([x, np.float32([0, 0])], training=True), [[0.25, -0.25], [-0.75, 1]])
    with pytest.raises(LayerError, match="a label is out of range"):
        layer([x, np.float32([0, 2])], training=True)


@pytest.mark.parametrize(
    ("text", "shapes", "reason"),
    [
        ('type: "TripletLoss"', [(2, 3), (2, 3), (2, 4)], "must have one shape"),
        ('type: "TripletLoss"', [(2, 3, 2, 1)] * 3, "must have size 1 from axis 2 on"),
        ('type: "FocalLoss"', [(2, 3, 4), (2, 3)], "number of labels"),
        ('type: "LabelSpecificAdd"', [(2, 3), (3,)], "one label for every sample; expected 2; received 3"),
    ],
)
def test_refused(text: str, shapes: list[tuple[int, ...]], reason: str) -> None:
    with pytest.raises(LayerError, match=reason):
        tops(text, *shapes)


def test_another_forks_triplet_loss_is_refused_for_its_bottoms() -> None:
    with pytest.raises(CaffeError, match="wrong number of bottoms; expected 3; received 2"):
        keras_caffe.load(net_with("TripletLoss", (4, 3), (4,)))
