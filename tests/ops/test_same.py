"""Where "SAME" padding stands in for Caffe's, values and gradients are those of explicitly padded windows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe.ops.convolution import convolution, convolution_twin, padded
from keras_caffe.ops.pool_axis import Axis
from keras_caffe.ops.pooling import max_pool
from keras_caffe.ops.same import is_same
from keras_caffe.shapes import conv_output

GEOMETRIES = list(itertools.product(range(4, 9), (1, 2, 3, 5), (1, 2, 3), (0, 1, 2)))


def taken(size: int, window: int, stride: int, pad: int) -> bool:
    return is_same(size, window, stride, pad, conv_output(size, window, stride, pad, 1))


def test_both_answers_occur_with_stride_and_without() -> None:
    found = {(taken(*axis), axis[2] > 1, axis[3] > 0) for axis in GEOMETRIES}
    assert len(found) == 8


def test_unknown_sizes_count_only_where_any_size_would() -> None:
    assert is_same(None, 5, 1, 2, None)
    assert not is_same(None, 5, 1, 1, None) and not is_same(None, 4, 1, 2, None) and not is_same(None, 3, 2, 1, None)
    assert all(taken(size, 5, 1, 2) for size in range(1, 20))


@pytest.mark.parametrize(("size", "window", "stride", "pad"), [axis for axis in GEOMETRIES if axis[3] < axis[1]])
def test_max_pool(size: int, window: int, stride: int, pad: int) -> None:
    x = np.random.default_rng(0).standard_normal((1, size, size, 2), "float32")
    axis = Axis(window, stride, pad, clip=pad > 0)
    out = axis.output(size)
    starts = [i * stride - pad for i in range(out)]
    want = [
        [x[0, max(r, 0) : r + window, max(c, 0) : c + window].max((0, 1), initial=-np.inf) for c in starts]
        for r in starts
    ]
    want = np.maximum(want, -np.finfo("float32").max).reshape(out, out, 2)
    np.testing.assert_array_equal(max_pool(tf.constant(x), [axis, axis])[0], want)


@pytest.mark.parametrize("group", [1, 2, 4])
@pytest.mark.parametrize(("window", "stride", "pad"), [(3, 1, 1), (5, 1, 2), (3, 2, 0), (3, 2, 1), (5, 3, 1)])
@pytest.mark.parametrize("size", [7, 8])
def test_convolution(size: int, window: int, stride: int, pad: int, group: int) -> None:
    random = np.random.default_rng(0)
    x = tf.constant(random.standard_normal((2, size, size, 4), "float32"))
    kernel = tf.constant(random.standard_normal((window, window, 4 // group, 8), "float32"))
    steps, pads, ones = (stride, stride), (pad, pad), (1, 1)

    def twin(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        framed = padded(x, kernel.shape[:2], steps, pads, ones)
        return convolution_twin(framed, kernel, stride=steps, dilation=ones, group=group)

    def ours(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return convolution(x, kernel, stride=steps, pad=pads, dilation=ones, group=group)

    for got, want in zip(_with_gradients(ours, x, kernel), _with_gradients(twin, x, kernel), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def _with_gradients(function, x: tf.Tensor, kernel: tf.Tensor) -> list[tf.Tensor]:
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        y = function(x, kernel)
        loss = tf.reduce_sum(y * tf.sin(tf.reshape(tf.range(tf.size(y), dtype="float32"), y.shape)))
    return [y, *tape.gradient(loss, [x, kernel])]
