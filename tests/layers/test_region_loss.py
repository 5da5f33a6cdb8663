"""RegionLoss: what it refuses, truths outside the image; its arrays are in test_goldens."""

from __future__ import annotations

import numpy as np
import pytest

from keras_caffe import layers, load
from keras_caffe.errors import LayerError, ShapeError
from tests.layers.cases import Case
from tests.nets import net_with

ANCHORS = [(1, 2), (3, 1)]
NUMBERS = ("num_class", "object_scale", "noobject_scale", "class_scale", "coord_scale", "thresh")
CASES = [
    Case(
        "RegionLoss",
        layers.RegionLoss(3, ANCHORS),
        [(1, 3, 3, 16), (1, 1, 4, 5)],
        refused=[
            ({"anchors": ()}, "anchors are"),
            *(({"anchors": ANCHORS, name: "a"}, name) for name in (*NUMBERS, "rescore", "bias_match")),
        ],
    ),
]
PARAM = "region_loss_param { num_class: 2 num: 2 biases: 1 biases: 2 biases: 3 biases: 1 %s }"


def test_a_truth_outside_the_image_is_left_out() -> None:
    x = np.random.default_rng(0).normal(size=(1, 3, 3, 14)).astype("float32")
    inside, beyond = np.zeros((2, 1, 1, 3, 5), "float32")
    inside[0, 0, 0] = beyond[0, 0, 0] = 1, 0.5, 0.5, 0.2, 0.3
    beyond[0, 0, 1] = 1, 1.5, 0.5, 0.2, 0.3
    loss = layers.RegionLoss(2, ANCHORS)
    np.testing.assert_array_equal(loss([x, beyond]), loss([x, inside]))


@pytest.mark.parametrize("more", ["coords: 5", "softmax: 0", "class_map: 'm'", "biases: 1"])
def test_what_no_definition_covers_is_refused(more: str) -> None:
    text = net_with("RegionLoss", (1, 14, 3, 3), (1, 1, 300, 5), param=PARAM % more)
    with pytest.raises(LayerError, match="RegionLoss has 4 coords|biases are not two for each box"):
        load(text)


def test_other_bottoms_are_refused() -> None:
    with pytest.raises(ShapeError, match="wrong number of channels for boxes and classes"):
        load(net_with("RegionLoss", (1, 15, 3, 3), (1, 1, 300, 5), param=PARAM % ""))
