"""NaN and infinities through layers, eager and compiled: what Caffe's formulas give."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_caffe import layers
from keras_caffe.ops.stock import stock_ops_only

NAN, INF = np.nan, np.inf
X = np.array([NAN, INF, -INF, 100, -100, 0], "float32")
FLT_MAX = np.finfo("float32").max

ELEMENTWISE = [
    (layers.ReLU(), [NAN, INF, 0, 100, 0, 0]),  # Caffe's CPU code: NaN of -inf; its cuDNN as here
    (layers.ReLU(0.25), [NAN, INF, -INF, 100, -25, 0]),
    (layers.ReLU6(), [NAN, 6, 0, 6, 0, 0]),
    (layers.PReLU(), [NAN, INF, -INF, 100, -25, 0]),
    (layers.ELU(), [NAN, INF, -1, 100, -1, 0]),
    (layers.BNLL(), [NAN, INF, 0, 100, 0, np.log(2)]),
    (layers.Sigmoid(), [NAN, 1, 0, 1, 0, 0.5]),
    (layers.TanH(), [NAN, 1, -1, 1, -1, 0]),
    (layers.AbsVal(), [NAN, INF, INF, 100, 100, 0]),
    (layers.Exp(), [NAN, INF, 0, INF, 0, 1]),
    (layers.Exp(scale=0.0), [NAN, NAN, NAN, 1, 1, 1]),
    (layers.Log(), [NAN, INF, NAN, np.log(100), NAN, -INF]),
    (layers.Power(0), [1, 1, 1, 1, 1, 1]),
    (layers.Power(1, 0, 3), [3, 3, 3, 3, 3, 3]),
    (layers.Power(2), [NAN, INF, INF, 10000, 10000, 0]),
    (layers.Power(-1), [NAN, 0, 0, 0.01, -0.01, INF]),
    (layers.Threshold(), [0, 1, 0, 1, 0, 0]),
    (layers.Clip(-2, 2), [-2, 2, -2, 2, -2, 0]),
    (layers.Swish(), [NAN, INF, NAN, 100, 0, 0]),
    (layers.Dropout(), [NAN, INF, -INF, 100, -100, 0]),
    (layers.Softmax(), [NAN, NAN, NAN, 1, 1, 1]),
]


@pytest.mark.parametrize(("layer", "expected"), ELEMENTWISE, ids=lambda value: getattr(value, "name", ""))
def test_elementwise(layer: keras.layers.Layer, expected: list[float]) -> None:
    for run in (layer, tf.function(layer, autograph=False)):
        np.testing.assert_allclose(np.ravel(run(tf.constant(X[:, None]))), expected, rtol=1e-6, atol=1e-30)


def pooled(values: Any, **arguments: Any) -> Any:
    """The tops of MAX pooling over one row of values by the kernels of stock TensorFlow, the only ones in exports."""
    layer = layers.Pooling("MAX", **arguments)
    with stock_ops_only():
        tops = layer(np.array(values, "float32")[None, None, :, None])
    return [np.ravel(top).tolist() for top in tops] if isinstance(tops, list) else np.ravel(tops).tolist()


def test_max_pooling_takes_no_nan_and_nothing_below_the_smallest_number() -> None:
    row = [NAN, 1, -INF, -INF, NAN, NAN, INF, NAN, 2, 3]
    greatest = [1, -FLT_MAX, -FLT_MAX, INF, 3]
    assert pooled(row, kernel_size=(1, 2), stride=2) == greatest
    assert pooled(row, kernel_size=(1, 2), stride=2, with_mask=True) == [greatest, [1, -1, -1, 6, 9]]
    for pair, expected in zip(np.reshape(row, (5, 2)), greatest, strict=True):
        assert pooled(pair, global_pooling=True) == [expected]


def test_max_of_blobs_takes_the_later_where_one_is_nan() -> None:
    a, b = np.array([[NAN, 1, NAN]], "float32"), np.array([[1, NAN, NAN]], "float32")
    c = np.array([[2, 2, 2]], "float32")
    np.testing.assert_array_equal(layers.Eltwise("MAX")([a, b]), [[1, NAN, NAN]])
    np.testing.assert_array_equal(layers.Eltwise("MAX")([a, b, c]), [[2, NAN, NAN]])  # 2 > NaN is false


def test_accuracy_counts_a_true_class_of_nan() -> None:
    scores = np.array([[NAN, 1, 2], [1, NAN, 2], [1, 2, NAN]], "float32")
    shares = [float(layers.Accuracy()([scores, np.full(3, label, "float32")])) for label in range(3)]
    np.testing.assert_allclose(shares, [1 / 3, 2 / 3, 1])
