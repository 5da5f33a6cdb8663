"""The kernel for per-channel maps gives the formula's values and gradients."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe.ops.normalize import normalize, scale_and_shift

SHAPES = [(2, 3, 4, 5), (2, 5), (2, 3, 5), (0, 3, 4, 5)]


def numbers(*shape: int, seed: int) -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).uniform(0.5, 2, shape).astype("float32"))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("learned", [True, False])
def test_normalize(shape: tuple[int, ...], learned: bool) -> None:
    x, mean, variance, scale, shift = (numbers(*s, seed=i) for i, s in enumerate([shape, *[shape[-1:]] * 4]))
    own = (scale, shift) if learned else ()
    factor = 1 / np.sqrt(variance.numpy() + 1e-3)
    want = (x - mean) * factor
    want = want * scale + shift if learned else want
    with tf.GradientTape() as tape:
        tape.watch([x, *own])
        got = normalize(x, mean, variance, 1e-3, *own, constant=True)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    weights = numbers(*shape, seed=9)
    found = tape.gradient(got, [x, *own], weights)
    standard = ((x - mean) * factor).numpy()
    others = tuple(range(len(shape) - 1))
    expected = [weights * factor * scale, (weights * standard).numpy().sum(others), weights.numpy().sum(others)]
    for a, b in zip(found, expected if learned else [weights * factor], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_gradient_flows_through_statistics_that_are_not_constant() -> None:
    x, mean, variance = numbers(2, 3, 4, 5, seed=0), numbers(5, seed=1), numbers(5, seed=2)
    with tf.GradientTape() as tape:
        tape.watch([mean, variance])
        y = normalize(x, mean, variance, 1e-3)
    assert all(np.abs(gradient).min() > 0 for gradient in tape.gradient(y, [mean, variance]))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_scale_and_shift(shape: tuple[int, ...], dtype: str) -> None:
    x, scale, shift = (tf.cast(numbers(*s, seed=i), dtype) for i, s in enumerate([shape, shape[-1:], shape[-1:]]))
    got = scale_and_shift(x, scale, shift)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, x * scale + shift, rtol=1e-6 if dtype == "float32" else 1e-3)


def test_far_from_zero_nothing_is_lost() -> None:
    """With a mean far above the deviation, x factor - mean factor would be rounded to nothing."""
    x = tf.constant(1e4 + np.arange(8, dtype="float32").reshape(2, 2, 2, 1) / 64)
    y = normalize(x, tf.constant([1e4]), tf.constant([1e-4]), 0.0, constant=True)
    np.testing.assert_allclose(np.ravel(y), np.arange(8) / 64 * 100, rtol=1e-4, atol=1e-4)


def test_in_a_graph_scaling_joins_the_normalisation() -> None:
    x, mean, variance, scale, shift = (numbers(*s, seed=i) for i, s in enumerate([(2, 3, 4, 5), *[(5,)] * 4]))

    def both(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        middle = normalize(x, mean, variance, 1e-3, constant=True)
        return middle, scale_and_shift(middle, scale, shift)

    graph = tf.function(both)
    kernels = [op for op in graph.get_concrete_function(x).graph.get_operations() if op.type == "FusedBatchNormV3"]
    assert [op.inputs[0].op.type for op in kernels] == ["Placeholder"] * 2
    for got, want in zip(graph(x), both(x), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
