"""Yolov3: what it refuses, and truths that its arrays do not have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from keras_caffe import layers, load
from keras_caffe.errors import LayerError, ShapeError
from tests.layers.cases import Case
from tests.nets import net_with

ANCHORS = [(10, 20), (30, 12), (40, 40)]
NUMBERS = ("num_class", "object_scale", "class_scale", "coord_scale", "thresh", "iou_thresh", "label_smooth_eps")
FLAGS = ("use_logic_gradient", "use_focal_loss")
MADE = {"anchors": ANCHORS, "mask": [1, 0]}
CASES = [
    Case(
        "Yolov3",
        layers.Yolov3(3, ANCHORS, [1, 0]),
        [(1, 3, 4, 16), (1, 1, 4, 5)],
        refused=[
            ({"anchors": ANCHORS}, "needs anchors"),
            ({"anchors": [(1, 2, 3)], "mask": [0]}, "needs anchors"),
            ({"anchors": ANCHORS, "mask": [3]}, "mask must be a whole number .* at most 2; received 3"),
            *((MADE | {name: "a"}, name) for name in (*NUMBERS, *FLAGS, "anchors_scale")),
        ],
    ),
]
PARAM = "yolov3_param { num_class: 2 num: 2 mask: 1 mask: 0 biases: 1 biases: 2 biases: 3 biases: 1 %s }"
X = np.random.default_rng(0).normal(size=(1, 3, 4, 14)).astype("float32")


def loss(*truths: Any, **options: Any) -> float:
    labels = np.zeros((1, 1, 6, 5), "float32")
    for row, truth in enumerate(truths):
        labels[0, 0, row] = truth
    return float(layers.Yolov3(2, ANCHORS, [1, 0], **options)([X, labels]))


def test_a_truth_outside_the_image_is_left_out() -> None:
    inside, beyond = (1, 0.5, 0.5, 0.2, 0.3), (1, 1.5, 0.5, 0.2, 0.3)
    assert loss(inside, beyond) == loss(inside)


@pytest.mark.parametrize("label", [-1, 2])
def test_a_truth_of_no_class_is_refused(label: int) -> None:
    with pytest.raises(LayerError, match="a label.* is out of range; expected whole numbers from 0 to 1"):
        loss((label, 0.4, 0.4, 0.2, 0.1))
    assert loss((0, 0.4, 0.4, 0.2, 0.1), (0, 0, 0, 0, 0), (label, 0.4, 0.4, 0.2, 0.1)) > 0  # none after a row of zeros


def test_many_truths_are_compared_as_few_are() -> None:
    few, many = np.zeros((1, 1, 6, 5), "float32"), np.zeros((1, 1, 70, 5), "float32")
    few[..., :5, :] = many[..., :5, :] = [1, 0.4, 0.4, 0.2, 0.1]
    layer = layers.Yolov3(2, ANCHORS, [1, 0])
    assert float(layer([X, many])) == float(layer([X, few]))
    many[..., :69, :] = many[..., :1, :]
    many[..., 68, 1:] = few[..., 1, 1:] = [0.9, 0.9, 0.3, 0.3]
    few[..., 2:, :] = 0
    assert float(layer([X, many])) == pytest.approx(float(layer([X, few])), rel=1e-6)


def test_the_last_truth_of_a_box_places_it_and_all_give_classes() -> None:
    fits = (0.4, 0.4, 30 / 128, 12 / 96)
    one, other = ((label, *fits) for label in (0, 1))
    u = 1 / (1 + np.exp(-X[0, 1, 1, 5:7].astype("float64")))
    wanted, unwanted = ((0.95 - u) ** 2, (0.05 - u) ** 2)
    assert loss(one, other) - loss(one) == pytest.approx(wanted[1] - unwanted[1], rel=1e-3)
    assert loss(one, one) == pytest.approx(loss(one), rel=1e-6)


def test_the_best_anchor_counts_also_where_this_map_lacks_it() -> None:
    large = (0, 0.4, 0.4, 40 / 128, 40 / 96)
    assert loss(large, iou_thresh=1, thresh=2) == pytest.approx(loss(thresh=2), rel=1e-6)
    assert loss(large, iou_thresh=0.1, thresh=2) != pytest.approx(loss(thresh=2), rel=1e-2)


@pytest.mark.parametrize("more", ["iou_loss: GIOU", "mask: 0", "biases: 1"])
def test_what_no_definition_covers_is_refused(more: str) -> None:
    with pytest.raises(LayerError, match="by MSE here|biases are pairs"):
        load(net_with("Yolov3", (1, 14, 3, 3), (1, 1, 300, 5), param=PARAM % more.replace("mask", "mask: 1 mask")))


def test_other_bottoms_are_refused() -> None:
    with pytest.raises(ShapeError, match="wrong number of channels for boxes and classes"):
        load(net_with("Yolov3", (1, 15, 3, 3), (1, 1, 300, 5), param=PARAM % ""))
