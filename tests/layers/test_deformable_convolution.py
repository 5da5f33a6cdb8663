"""DeformableConvolution: without offsets it is Convolution, and what it refuses; the arrays check its values."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe import layers
from keras_caffe.errors import CaffeError
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import from_caffe
from tests.random_nets.draft import Draft

CASES = [
    Case(
        "DeformableConvolution",
        layers.DeformableConvolution(3, 3, pad=1, deformable_group=2),
        [SHAPE, (None, 4, 6, 36)],
        refused=[
            ({"deformable_group": 0}, "deformable_group must be a whole number of at least 1; received 0"),
            ({"num_output": 0}, "num_output must be a whole number of at least 1; received 0"),
            ({"kernel_size": 0}, "kernel_size must be a whole number of at least 1; received 0"),
            ({"kernel_size": (3,)}, "DeformableConvolution has two axes; expected two sizes"),
            ({"stride": 0}, "stride must be a whole number of at least 1; received 0"),
            ({"pad": -1}, "pad must be a whole number of at least 0; received -1"),
            ({"dilation": -1}, "dilation must be a whole number of at least 0; received -1"),
            ({"group": 0}, "group must be a whole number of at least 1; received 0"),
            ({"bias_term": 2}, "bias_term must be True or False; received 2"),
            ({"weight_filler": "none"}, "unknown filler type of weight_filler"),
            ({"bias_filler": "none"}, "unknown filler type of bias_filler"),
        ],
    ),
]


def part(draft: Draft) -> None:
    x, group = draft.bottom(4), draft.choose((1, 2))
    (first, _, *sizes), (second, *_) = x.shapes
    offsets = draft.input((first, 18 * group, *sizes), (second, 18 * group, *x.shapes[1][2:]), "small")
    fields = f"num_output: 2 kernel_size: 3 pad: 1 deformable_group: {group}"
    draft.add("DeformableConvolution", [x, offsets], f"deformable_convolution_param {{ {fields} }}")


PARTS = {"DeformableConvolution": part}


def test_without_offsets_it_is_a_convolution() -> None:
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 4)).astype("float32")
    geometry = {"kernel_size": 3, "pad": 2, "dilation": 2, "group": 2, "weight_filler": "xavier"}
    plain, deformable = layers.Convolution(4, **geometry), layers.DeformableConvolution(4, **geometry)
    want = plain(x)
    deformable.build([x.shape, (2, 5, 6, 72)])
    deformable.set_weights(plain.get_weights())
    np.testing.assert_allclose(deformable([x, np.zeros((2, 5, 6, 72), "float32")]), want, rtol=1e-4, atol=1e-5)


def test_places_outside_the_bottom_read_0_and_get_no_gradient() -> None:
    layer = layers.DeformableConvolution(1, deformable_group=1, weight_filler={"value": 1.0})
    x, offsets = tf.ones((1, 2, 2, 1)), tf.constant([[[[0.5, 0], [-0.5, 0]], [[0.5, 0], [0, 9]]]])
    with tf.GradientTape() as tape:
        tape.watch(offsets)
        y = layer([x, offsets])
    np.testing.assert_array_equal(y[0, ..., 0], [[1, 0], [1, 0]])
    np.testing.assert_array_equal(tape.gradient(y, offsets), np.zeros((1, 2, 2, 2)))


@pytest.mark.parametrize(
    ("fields", "offsets", "reason"),
    [
        ("kernel_size: 3 pad: 1 deformable_group: 1", (1, 17, 5, 5), "number of offsets for each pixel; expected 18"),
        ("kernel_size: 3 pad: 1 deformable_group: 3", (1, 54, 5, 5), "deformable_group 3 does not divide the channels"),
        ("kernel_size: 3 deformable_group: 1", (1, 18, 5, 5), "the top must be as large as the bottom; expected 5"),
        ("kernel_size: 3 pad: 1 deformable_group: 1", (1, 18, 5, 4), "the offsets must be as large as the bottom"),
        ("kernel_size: 3 pad: 1 deformable_group: 1", (1, 18, 5), "needs bottoms with 4 axes"),
    ],
)
def test_refused(fields: str, offsets: tuple[int, ...], reason: str) -> None:
    text = f'type: "DeformableConvolution" deformable_convolution_param {{ num_output: 2 {fields} }}'
    with pytest.raises(CaffeError, match=reason):
        from_caffe(text, (1, 4, 5, 5), offsets)
