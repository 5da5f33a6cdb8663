"""MaskResize against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe.errors import CaffeError
from keras_caffe.layers import MaskResize
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import tops
from tests.nets import net_with

CASES = [
    Case(
        "MaskResize",
        MaskResize((9, 5)),
        [SHAPE],
        net=net_with("MaskResize", (2, 3, 4, 5), param="mask_resize_param { output_height: 14 output_width: 3 }"),
        values="formula in tests/layers/test_mask_resize.py",
        refused=[({"size": 0}, r"size \(height, width\) must be .* of at least 1; received 0")],
    )
]


def weights(old: int, new: int) -> np.ndarray:
    """(new, old): what each pixel of the top takes of those of the bottom along one axis."""
    table = np.zeros((new, old))
    for i in range(new):
        place = np.float32(i) * (np.float32(old) / np.float32(new))
        low = int(place)
        if place > old - 0.5:
            continue
        if low >= old - 1:
            table[i, old - 1] = 1
        else:
            table[i, low], table[i, low + 1] = 1 - (place - low), place - low
    return table


@pytest.mark.parametrize("size", [(5, 6), (10, 12), (20, 30), (3, 2), (1, 7)])
def test_values_and_gradient(size: tuple[int, int]) -> None:
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype("float32")
    rows, columns = weights(5, size[0]), weights(6, size[1])
    with tf.GradientTape() as tape:
        tape.watch(bottom := tf.constant(x))
        top = MaskResize(size)(bottom)
    np.testing.assert_allclose(top, np.einsum("ih,jw,nhwc->nijc", rows, columns, x), rtol=1e-5, atol=1e-6)
    g = np.random.default_rng(1).normal(size=top.shape).astype("float32")
    wanted = np.einsum("ih,jw,nijc->nhwc", rows, columns, g)
    np.testing.assert_allclose(tape.gradient(top, bottom, tf.constant(g)), wanted, rtol=1e-4, atol=1e-5)


def test_what_lies_far_behind_the_last_pixel_is_0() -> None:
    assert np.asarray(MaskResize(20)(np.ones((1, 5, 5, 1))))[0, :, 0, 0].tolist() == [1] * 19 + [0]


def test_files() -> None:
    text = 'type: "MaskResize" mask_resize_param { output_height: 3 output_width: 8 }'
    assert tops(text, (2, 1, 5, 6)) == [(2, 1, 3, 8)]
    with pytest.raises(CaffeError, match="MaskResize needs bottoms with 4 axes"):
        tops(text, (2, 3))
    with pytest.raises(CaffeError, match=r"must be .* of at least 1; received 0"):
        tops('type: "MaskResize"', (2, 1, 5, 6))
