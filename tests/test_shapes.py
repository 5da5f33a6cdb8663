"""The rules that round are one rule for integers and for sizes that only a running graph knows."""

from __future__ import annotations

import itertools
from math import ceil, floor

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe.errors import ShapeError
from keras_caffe.ops.pool_axis import Axis
from keras_caffe.shapes import ceil_div, pool_output, windows

SIZES = range(15)
GEOMETRIES = [axis for axis in itertools.product((1, 2, 3, 5), (1, 2, 3, 4), (0, 1, 2)) if axis[2] < axis[0]]


class Cut(int):
    """A size as ONNX computes with it: the quotient is cut toward zero."""

    def __add__(self, other: int) -> Cut:
        return Cut(int(self) + other)

    def __sub__(self, other: int) -> Cut:
        return Cut(int(self) - other)

    def __floordiv__(self, other: int) -> Cut:
        return Cut(int(int(self) / other))


def in_caffe(size: int, kernel: int, stride: int, pad: int, rounding: bool, clip: bool) -> int:
    """pooling_layer.cpp, statement by statement."""
    out = (ceil if rounding else floor)((size + 2 * pad - kernel) / stride) + 1
    return out - 1 if clip and (out - 1) * stride >= size + pad else out


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("rounding", [False, True], ids=["floor", "ceil"])
def test_pooling_has_the_windows_of_caffe(rounding: bool, clip: bool) -> None:
    axes = [Axis(*geometry, rounding, clip) for geometry in GEOMETRIES]

    @tf.function(input_signature=[tf.TensorSpec([], tf.int32)])
    def in_a_graph(size: tf.Tensor) -> tf.Tensor:
        return tf.stack([axis.output(size) for axis in axes])

    for size in SIZES:
        want = [in_caffe(size, *geometry, rounding, clip) for geometry in GEOMETRIES]
        assert [axis.output(size) for axis in axes] == want
        np.testing.assert_array_equal(in_a_graph(size), want)
        # Caffe refuses fewer than no windows.
        cut = [int(axis.output(Cut(size))) for axis in axes]
        np.testing.assert_array_equal(np.maximum(cut, 0), np.maximum(want, 0))


@pytest.mark.parametrize("a", range(13))
def test_no_operand_of_a_division_is_negative(a: int) -> None:
    for b in range(1, 5):
        assert ceil_div(a, b) == ceil_div(Cut(a), b) == int(ceil_div(tf.constant(a), b)) == ceil(a / b)
        for window in range(1, a + b):
            assert windows(a, window, b) == windows(Cut(a), window, b) == floor((a - window) / b) + 1


@pytest.mark.parametrize("geometry", [(0, 1, 0), (2, 0, 0), (2, 1, 2), (2, 1, -1)])
def test_windows_that_caffe_refuses(geometry: tuple[int, int, int]) -> None:
    with pytest.raises(ShapeError, match="a positive stride and a kernel larger than its pad.*kernel 2|kernel 0"):
        pool_output(4, *geometry)
