"""SeLu, RReLU, Insanity, HardSigmoid and ChannelScale: what their arrays do not show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe.errors import LayerError
from keras_caffe.layers import ChannelScale, HardSigmoid, Insanity, RReLU, SeLu
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import from_caffe, tops
from tests.random_nets.draft import Draft
from tests.random_nets.parts_simple import FLAG, simple

LIMITS = "negative_slope_lower", "negative_slope_upper"
SEED = ({"seed": -1}, "seed must be a whole number of at least 0; received -1")
CASES = [
    Case(
        "SeLu",
        SeLu(),
        [SHAPE],
        refused=[
            ({"alpha": "1"}, "alpha must be a number; received '1'"),
            ({"scale": None}, "scale must be a number; received None"),
        ],
    ),
    Case(
        "RReLU",
        RReLU(3, 8),
        [SHAPE],
        refused=[
            *(({name: 0}, f"{name} must be a number above 0; received 0") for name in LIMITS),
            ({LIMITS[0]: 9}, r"the lower limit is above the upper one; received \(9.0, 8.0\)"),
            SEED,
        ],
    ),
    Case(
        "Insanity",
        Insanity(),
        [SHAPE],
        refused=[
            ({"lb": 0}, "lb must be a number above 0; received 0"),
            ({"ub": -1}, "ub must be a number above 0; received -1"),
            ({"ub": 5}, r"lb must be below ub; received \(5.0, 5.0\)"),
            SEED,
        ],
    ),
    Case("HardSigmoid", HardSigmoid(), [SHAPE]),
    Case(
        "ChannelScale",
        ChannelScale(),
        [SHAPE, (*SHAPE[:3], 1)],
        refused=[
            ({name: "no"}, f"{name} must be True or False; received 'no'")
            for name in ("do_forward", "do_backward_feature", "do_backward_scale")
        ],
    ),
]


def channel_scale(draft: Draft) -> None:
    x = draft.bottom(4)
    scale = draft.input(*((n, 1, *sizes) for n, _, *sizes in x.shapes))
    draft.add("ChannelScale", [x, scale], f"channel_scale_param {{ {draft.fields(do_forward=FLAG)} }}")


PARTS = {
    "SeLu": simple("SeLu", "selu_param", alpha=(0.5, None), **{"lambda": (2, None)}),
    "RReLU": simple("RReLU", "rrelu_param", negative_slope_lower=(3, 4), negative_slope_upper=(4, 8)),
    "Insanity": simple("Insanity", "insanity_param", lb=(2, None), ub=(12, None)),
    "HardSigmoid": simple("HardSigmoid"),
    "ChannelScale": channel_scale,
}


@pytest.mark.parametrize("layer", [RReLU(3, 8), Insanity(3, 8)], ids=lambda layer: type(layer).__name__)
def test_in_training_negative_values_are_divided_by_random_numbers(layer: Any) -> None:
    x = tf.constant(np.random.default_rng(0).normal(size=(200, 50)), "float32")
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
    slope = tape.gradient(y, x).numpy()
    np.testing.assert_allclose(y, slope * x, rtol=1e-6)
    assert (slope[x > 0] == 1).all()
    divisors = 1 / slope[x < 0]
    assert 3 <= divisors.min() < 3.1 < 7.9 < divisors.max() <= 8
    assert abs(divisors.mean() - 5.5) < 0.1
    assert not np.array_equal(y, layer(x, training=True))


def test_without_fields_the_fork_has_its_defaults() -> None:
    layer = from_caffe('type: "SeLu"', (2, 3))
    assert (layer.alpha, layer.scale) == pytest.approx((1.6732632, 1.050701))
    layer = from_caffe('type: "Insanity"', (2, 3))
    np.testing.assert_allclose(layer(np.float32([[-1, 2]])), [[-np.log(2) / 5, 2]], rtol=1e-6)


def test_a_hard_sigmoid_passes_its_gradient_far_outside_too() -> None:
    x = tf.constant([-np.inf, -1e30, -9.0, 0, 9, 1e30, np.inf, np.nan])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = HardSigmoid()(x)
    np.testing.assert_array_equal(y, [0, 0, 0, 0.5, 1, 1, 1, np.nan])
    np.testing.assert_allclose(tape.gradient(y, x)[1:-2], [0.2] * 5)


@pytest.mark.parametrize(
    ("text", "shapes", "reason"),
    [
        ('type: "RReLU" rrelu_param { negative_slope_lower: 3 }', [(2, 3)], "negative_slope_upper is missing"),
        ('type: "ChannelScale"', [(2, 3, 4, 5), (2, 3, 4, 5)], "one factor for each pixel"),
        ('type: "ChannelScale"', [(2, 3), (2, 1)], "needs bottoms with 4 axes"),
        (
            'type: "ChannelScale" channel_scale_param { global_scale: true }',
            [(2, 3, 4, 5), (2, 1, 4, 5)],
            "global_scale replaces the factors",
        ),
    ],
)
def test_refused(text: str, shapes: list[tuple[int, ...]], reason: str) -> None:
    with pytest.raises(LayerError, match=reason):
        tops(text, *shapes)
