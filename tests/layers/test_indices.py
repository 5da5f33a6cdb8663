"""Layers that read indices from a blob: Embed, BatchReindex, Filter."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe.errors import LayerError, NetError, ShapeError
from keras_caffe.layers import BatchReindex, Embed, Filter
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import tops

CASES = [
    Case("BatchReindex", BatchReindex(), [SHAPE, (None,)]),
    Case("Embed", Embed(num_output=3, input_dim=5), [(None, 7)]),
    Case("Filter", Filter(axes=(0, 0)), [SHAPE, (None, 3), (None, 1)]),
]

X = np.arange(12, dtype="float32").reshape(4, 3)


def test_indices_are_truncated() -> None:
    np.testing.assert_array_equal(BatchReindex()([X, np.array([2.9, 0.0, 2.0], "float32")]), X[[2, 0, 2]])


def test_the_gradient_adds_up() -> None:
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = BatchReindex()([x, tf.constant([1.0, 1.0, 3.0])])
    np.testing.assert_array_equal(tf.convert_to_tensor(tape.gradient(y, x)), [[0] * 3, [2] * 3, [0] * 3, [1] * 3])


@pytest.mark.parametrize("index", [4.0, -1.0])
def test_an_index_out_of_range_is_refused(index: float) -> None:
    layer = BatchReindex()
    with pytest.raises(LayerError, match="expected 0 to 3"):
        layer([X, np.array([index], "float32")])
    with pytest.raises(tf.errors.InvalidArgumentError, match="out of range"):
        tf.function(layer)([X, tf.constant([index])])


def test_an_unknown_word_is_refused() -> None:
    with pytest.raises(LayerError, match="expected 0 to 2"):
        Embed(num_output=2, input_dim=3)(np.array([[0.0, 3.0]], "float32"))


def test_half_precision_keeps_the_index() -> None:
    rows = np.arange(3000, dtype="float32")[:, None]
    y = BatchReindex(dtype="mixed_float16")([rows / 3000, np.array([2049.0], "float32")])
    np.testing.assert_allclose(np.asarray(y, "float32"), [[2049 / 3000]], rtol=1e-3)


def test_a_tiny_selector_counts_and_minus_zero_does_not() -> None:
    selector = np.array([1e-30, -0.0, 0.0, -2.0], "float32")
    np.testing.assert_array_equal(Filter()([X, selector]), X[[0, 3]])
    np.testing.assert_allclose(Filter(dtype="mixed_float16")([X, selector]), X[[0, 3]])


def test_the_first_axis_of_filtered_blobs_is_open() -> None:
    text = 'type: "Filter" top: "a" top: "b"'
    assert tops(text, (4, 3, 2), (4, 5), (4, 1, 1)) == [(None, 3, 2), (None, 5)]
    assert tops('type: "BatchReindex"', (4, 3, 2), (7,)) == [(7, 3, 2)]


@pytest.mark.parametrize(
    ("text", "shapes", "error", "reason"),
    [
        ('type: "BatchReindex"', [(4, 3), (7, 1)], ShapeError, "indices of BatchReindex must have 1 axis"),
        ('type: "Filter"', [(4, 3), (4, 2)], ShapeError, "one value per image"),
        ('type: "Filter"', [(4, 3), (3,)], ShapeError, "does not match the batch"),
        ('type: "Filter" top: "a" top: "b"', [(4, 3), (4,)], NetError, "one top per bottom except the last"),
        ('type: "Embed" embed_param { num_output: 3 }', [(4,)], LayerError, "input_dim is missing"),
        ('type: "Embed" embed_param { input_dim: 3 }', [(4,)], LayerError, "num_output is missing"),
    ],
)
def test_refused(text: str, shapes: list[tuple[int, ...]], error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason):
        tops(text, *shapes)


def test_a_filter_of_one_bottom_is_channel_prunings() -> None:
    import keras_caffe
    from tests.nets import input_layer, layer

    with pytest.raises(
        NetError, match=r"<text>:\d+: layer 'f' \(Filter\): Filter of one bottom is that of yihui-he/caffe-pro"
    ):
        keras_caffe.load(input_layer("x", 2, 3) + layer("f", "Filter", "x", "y"))
