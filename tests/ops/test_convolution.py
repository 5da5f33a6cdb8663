"""Convolutions in the corners that TensorFlow's kernels refuse."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import keras_caffe.ops.convolution as convolution_module
from keras_caffe.ops.convolution import convolution, convolution_twin, deconvolution, deconvolution_twin
from keras_caffe.ops.stock import stock_ops_only


@pytest.mark.parametrize("dilation", [(0, 0), (0, 2), (1, 0)])
def test_without_dilation_all_taps_fall_on_one_pixel(dilation: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, 5, 6, 4)).astype("float32"), rng.normal(size=(3, 2, 2, 4)).astype("float32")
    how = {"stride": (2, 1), "dilation": dilation, "group": 2}
    got = convolution(x, kernel, pad=(0, 0), **how)
    np.testing.assert_allclose(got, convolution_twin(x, kernel, **how), rtol=1e-5, atol=1e-5)
    got = deconvolution(x, kernel, pad=(0, 0), **how)
    np.testing.assert_allclose(got, deconvolution_twin(x, kernel, **how), rtol=1e-5, atol=1e-5)


def taught(function: Any, x: Any, kernel: Any) -> list[np.ndarray]:
    """Values, and gradients of half the sum of their squares."""
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        y = function(x, kernel)
        half = tf.reduce_sum(y * y) / 2
    return [np.asarray(y), *map(np.asarray, tape.gradient(half, [x, kernel]))]


@pytest.mark.parametrize(
    ("fused", "dtype"),
    [(None, "float32"), (False, "float32"), (None, "float64")],
    ids=["as it comes", "plain kernels", "in float64, which oneDNN has not"],
)
@pytest.mark.parametrize(("stride", "dilation", "group"), [(1, 1, 2), (2, 1, 4), (1, 2, 1), (2, 3, 1), (2, 2, 2)])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_groups_and_dilation_where_tensorflow_has_plain_kernels_only(
    rank: int, stride: int, dilation: int, group: int, fused: bool | None, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without oneDNN, TensorFlow has no gradient of grouped or dilated convolutions and no dilated 3-D convolution."""
    if fused is not None:
        monkeypatch.setattr(convolution_module, "_has_all_kernels", lambda dtype: fused)
    rng = np.random.default_rng(rank)
    x = tf.constant(rng.normal(size=(2, *(9, 8, 7)[:rank], 4)), dtype)
    how = {"stride": [stride] * rank, "dilation": [dilation] * rank, "group": group}
    for function, twin, shape in (
        (convolution, convolution_twin, (4 // group, 8)),
        (deconvolution, deconvolution_twin, (8 // group, 4)),
    ):
        kernel = tf.constant(rng.normal(size=(*[3] * rank, *shape)), dtype)
        ours = partial(function, pad=[0] * rank, **how)
        wanted = taught(partial(twin, **how), x, kernel)
        open_sizes = [tf.TensorSpec([None] * (rank + 1) + [4], dtype), tf.TensorSpec(kernel.shape, dtype)]
        graph = tf.function(lambda *args, f=ours: f(*args), open_sizes, autograph=False)
        for got in (taught(ours, x, kernel), taught(graph, x, kernel)):
            for a, b in zip(got, wanted, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
        with stock_ops_only():
            np.testing.assert_allclose(ours(x, kernel), wanted[0], rtol=1e-4, atol=1e-4)
