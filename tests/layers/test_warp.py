"""Warp, Grid and FlowWarp, and the element-wise layers of FlowNet2 and LiteFlowNet: what their arrays do not show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import keras_caffe
from keras_caffe.errors import ShapeError
from keras_caffe.layers import ChannelNorm, ExpMax, FlowWarp, Grid, NegReLU, NegSquare, Warp
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import tops
from tests.nets import input_layer, layer
from tests.random_nets.draft import Draft
from tests.random_nets.parts_simple import simple

PLACES = (*SHAPE[:3], 2)
CASES = [
    Case("ChannelNorm", ChannelNorm(), [SHAPE]),
    Case(
        "ExpMax",
        ExpMax(base=2, scale=0.5),
        [SHAPE],
        refused=[
            ({"base": 0}, "the base must be positive, or -1 for e; received 0"),
            ({"scale": "1"}, "scale must be a number; received '1'"),
            ({"shift": None}, "shift must be a number; received None"),
        ],
    ),
    Case(
        "FlowWarp",
        FlowWarp(),
        [SHAPE, PLACES],
        refused=[({"fill_value": "NAN"}, "unknown fill_value; expected one of ZERO, NOT_A_NUMBER; received 'NAN'")],
    ),
    Case("Grid", Grid(), [SHAPE]),
    Case(
        "NegReLU",
        NegReLU(0.1),
        [SHAPE],
        refused=[({"negative_slope": "0.1"}, "negative_slope must be a number; received '0.1'")],
    ),
    Case("NegSquare", NegSquare(), [SHAPE]),
    Case("Warp", Warp(), [SHAPE, PLACES]),
]
NAN = np.nan


def warped(type: str) -> Any:
    """The part of a layer that looks places up, which are as many as the pixels of its image."""

    def part(draft: Draft) -> None:
        image = draft.bottom(4)
        (first, *_), (second, *_) = image.shapes
        sizes = image.shape[2:]
        places = draft.input((first, 2, *sizes), (second, 2, *sizes))
        draft.add(type, [image, places])

    return part


PARTS = {
    "ChannelNorm": simple("ChannelNorm", ranks=(4,), in_place=False),
    "ExpMax": simple("ExpMax", "expmax_param", (4,), False, base=(2, None), scale=(0.5, None), shift=(1, None)),
    "FlowWarp": warped("FlowWarp"),
    "Grid": simple("Grid", ranks=(4,), in_place=False),
    "NegReLU": simple("NegReLU", "relu_param", negative_slope=(0.1, None)),
    "NegSquare": simple("NegSquare", in_place=False),
    "Warp": warped("Warp"),
}


def looked_up(layer: Any, places: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """What a layer finds in the row 1, 2, 4 at each (column, row), and the sum of the gradients of these places."""
    image = tf.constant(np.float32([[[[1], [2], [4]]]]))
    found, slopes = [], []
    for place in places:
        at = tf.constant(np.float32([[[place, (0, 0), (0, 0)]]]))
        with tf.GradientTape() as tape:
            tape.watch(at)
            value = layer([image, at])[0, 0, 0, 0]
        found.append(float(value))
        slopes.append(float(tf.reduce_sum(tape.gradient(value, at))))
    return found, slopes


def test_outside_the_image_pixels_count_as_0() -> None:
    places = [(0.5, 0), (2.5, 0), (-0.25, 0), (3, 0), (-1, 0), (1, 0.5), (1e30, 0), (NAN, 0)]
    found, slopes = looked_up(Warp(), places)
    np.testing.assert_array_equal(found, [1.5, 2, 0.75, 0, 0, 1, 0, 0])
    assert np.isfinite(slopes).all()


def test_beyond_the_last_centre_the_last_pixel_goes_on() -> None:
    places = [(0.5, 0), (2.5, 0.5), (-0.25, 0), (3, 0), (1e30, 0), (0, NAN)]
    np.testing.assert_array_equal(looked_up(FlowWarp(), places)[0], [1.5, 4, 0, 0, 0, 0])
    found, slopes = looked_up(FlowWarp("NOT_A_NUMBER"), places)
    np.testing.assert_array_equal(found, [1.5, 4, NAN, NAN, NAN, NAN])
    assert slopes == [1, 0, 0, 0, 0, 0]  # The last row goes on, too.


def test_a_flow_added_to_the_grid_warps() -> None:
    text = input_layer("x", 1, 2, 3, 4) + input_layer("flow", 1, 2, 3, 4) + layer("grid", "Grid", "x", "grid")
    text += layer("places", "Eltwise", "grid flow", "places") + layer("warp", "Warp", "x places", "y")
    x = np.random.default_rng(0).normal(size=(1, 2, 3, 4)).astype("float32")
    flow = np.zeros((1, 2, 3, 4), "float32")
    flow[:, 0] = 1  # one column to the right
    want = np.concatenate([x[..., 1:], np.zeros((1, 2, 3, 1))], axis=-1)
    model = keras_caffe.load(text, data_format="channels_first")
    np.testing.assert_array_equal(model({"x": x, "flow": flow}), want)


def test_each_image_has_its_own_maxima() -> None:
    x = np.float32([[1, 3], [5, 2]])[:, None, None]
    np.testing.assert_allclose(ExpMax(base=2)(x)[:, 0, 0], [[0.25, 1], [1, 0.125]], rtol=1e-6)


def test_the_gradient_of_zero_channels_is_0() -> None:
    x = tf.zeros((1, 1, 1, 3))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = ChannelNorm()(x)
    assert not np.any(tape.gradient(y, x))


def test_not_finite() -> None:
    x = np.float32([NAN, np.inf, -np.inf, 2])[:, None]
    np.testing.assert_array_equal(NegReLU()(x)[:, 0], [NAN, 0, -np.inf, 0])
    np.testing.assert_array_equal(NegReLU(0.5)(x)[:, 0], [NAN, np.inf, -np.inf, 1])


@pytest.mark.parametrize("type", ["Warp", "FlowWarp"])
@pytest.mark.parametrize("places", [(2, 3, 4, 5), (2, 2, 4, 6), (1, 2, 4, 5), (2, 2)])
def test_places_must_be_those_of_the_pixels(type: str, places: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=rf"{type} needs (a column and a row for each pixel|bottoms with 4 axes)"):
        tops(f'type: "{type}"', (2, 3, 4, 5), places)


@pytest.mark.parametrize("type", ["ChannelNorm", "ExpMax", "Grid"])
def test_they_need_images(type: str) -> None:
    with pytest.raises(ShapeError, match=f"{type} needs bottoms with 4 axes"):
        tops(f'type: "{type}"', (2, 3, 4))
