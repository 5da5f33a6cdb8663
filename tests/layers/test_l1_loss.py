"""L1Loss: FlowNet2's and NVIDIA's differ where a = b and where there is no ground truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import keras_caffe
from keras_caffe.errors import ShapeError
from keras_caffe.layers import L1Loss
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import tops
from tests.nets import input_layer, layer
from tests.random_nets.draft import Draft

CASES = [
    Case(
        "L1Loss",
        L1Loss(l2_per_location=True),
        [SHAPE, SHAPE],
        refused=[
            ({"l2_per_location": 2}, "l2_per_location must be True or False; received 2"),
            ({"l2_prescale_by_channels": 2}, "l2_prescale_by_channels must be True or False; received 2"),
            ({"normalize_by_num_entries": 2}, "normalize_by_num_entries must be True or False; received 2"),
            ({"epsilon": "0"}, "epsilon must be a number; received '0'"),
            ({"plateau": "0"}, "plateau must be a number; received '0'"),
            ({"sign_of_zero": 2}, "sign_of_zero must be a whole number of at least -1 and of at most 1; received 2"),
            ({"skip_nan": 2}, "skip_nan must be True or False; received 2"),
        ],
    ),
    Case("L1Loss", L1Loss(), [SHAPE]),
]
NAN = float("nan")


def l1_loss(draft: Draft) -> None:
    a = draft.bottom(2, 4)
    fields = draft.fields(l2_per_location=("true", None), normalize_by_num_entries=("true", None), plateau=(0.5, None))
    draft.add("L1Loss", draft.choose(([a], [a, draft.like(a)])), f"l1_loss_param {{ {fields} }}")


PARTS = {"L1Loss": l1_loss}


def loss_and_gradient(param: str, fork: str | None, a: list[float]) -> tuple[float, list[float]]:
    """Of a against zeros, as a net of two bottoms loads."""
    text = input_layer("a", 1, 4) + input_layer("b", 1, 4) + layer("l", "L1Loss", "a b", "l", param)
    model = keras_caffe.load(text, phase="TRAIN", fork=fork)
    x = tf.constant([a])
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = model({"a": x, "b": tf.zeros((1, 4))})
    return float(loss), np.ravel(tape.gradient(loss, x)).tolist()


@pytest.mark.parametrize(
    ("param", "fork", "missing", "at_zero"),
    [
        ("l1_loss_param { }", None, 0, -1),  # FlowNet2's
        ("", None, 0, 0),  # either
        ("", "nvcaffe", NAN, 0),
    ],
)
def test_the_two_definitions(param: str, fork: str | None, missing: float, at_zero: float) -> None:
    loss, gradient = loss_and_gradient(param, fork, [2, -1, 0, 0.5])
    assert loss == 3.5
    assert gradient == [1, -1, at_zero, 1]
    np.testing.assert_equal(loss_and_gradient(param, fork, [2, -1, 0, NAN])[0], 3 + missing)


ONE_SHAPE = "both bottoms of L1Loss must have one shape"


@pytest.mark.parametrize(
    ("shapes", "message"),
    [([(2, 3), (2, 4)], ONE_SHAPE), ([(2, 3), (2, 3, 1)], ONE_SHAPE), ([(1,) * 5], "a bottom has too many axes")],
)
def test_refused(shapes: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        tops('type: "L1Loss"', *shapes)
