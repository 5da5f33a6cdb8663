"""Accuracy: ties, NaN, labels out of range, which fork, use in a graph."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe import layers
from keras_caffe.errors import LayerError
from keras_caffe.layers.context import LoadContext, loading
from tests.layers.cases import Case
from tests.layers.layer_case import from_caffe

CASES = [
    Case("Accuracy", layers.Accuracy(), [(None, 4), (None,)]),
]

EVEN = np.zeros((3, 3), "float32")
LABELS = np.array([0, 1, 2], "float32")


@pytest.mark.parametrize(
    ("ties", "top_k", "right"),
    [("bvlc", 1, 0), ("bvlc", 2, 0), ("bvlc", 3, 3), ("ssd", 1, 1), ("ssd", 2, 2), ("ssd", 3, 3)],
)
def test_ties(ties: str, top_k: int, right: int) -> None:
    np.testing.assert_allclose(layers.Accuracy(top_k=top_k, ties=ties)([EVEN, LABELS]), right / 3)


def test_a_true_class_that_scores_nan_is_right() -> None:
    assert layers.Accuracy()([np.array([[1, np.nan]], "float32"), np.ones(1, "float32")]) == 1


@pytest.mark.parametrize(("ties", "nothing"), [("bvlc", 0.0), ("ssd", np.nan)])
def test_nothing_counts(ties: str, nothing: float) -> None:
    layer = layers.Accuracy(ignore_label=7, ties=ties, per_class=True)
    mean, per_class = layer([EVEN, np.full(3, 7, "float32")])
    np.testing.assert_array_equal(mean, nothing)
    np.testing.assert_array_equal(per_class, np.zeros(3))


def test_labels_out_of_range() -> None:
    wrong = np.array([0, 5, 2], "float32")
    with pytest.raises(LayerError, match="out of range"):
        layers.Accuracy()([EVEN, wrong])
    np.testing.assert_array_equal(tf.function(layers.Accuracy(ties="ssd"))([EVEN, wrong]), 0.5)


@pytest.mark.parametrize(("fork", "ties"), [(None, "bvlc"), ("bvlc", "bvlc"), ("ssd", "ssd")])
def test_the_fork_decides_about_ties(fork: str | None, ties: str) -> None:
    with loading(LoadContext(fork)):
        layer = from_caffe('type: "Accuracy" top: "a"', (4, 3), (4,))
    assert layer.ties == ties


def test_labels_stay_exact_under_mixed_precision() -> None:
    scores = np.zeros((1, 4000), "float32")
    scores[0, 2049] = 1
    layer = layers.Accuracy(dtype="mixed_float16")
    assert layer([scores, np.array([2049.0], "float32")]) == 1


def test_config_and_shapes() -> None:
    layer = from_caffe('type: "Accuracy" top: "a" top: "b" accuracy_param { top_k: 2 }', (2, 5, 3, 4), (24,))
    copy = layers.Accuracy.from_config(layer.get_config())
    assert copy.compute_output_shape([(None, 3, 4, 5), (None,)]) == [(), (5,)]
    for a, b in zip(
        copy([np.ones((2, 3, 4, 5)), np.ones(24)]), layer([np.ones((2, 3, 4, 5)), np.ones(24)]), strict=True
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("shapes", "param", "problem"),
    [([(4, 3), (4, 2)], "", "number of labels"), ([(4, 3), (4,)], "top_k: 4", "top_k is beyond")],
)
def test_refused(shapes: list[tuple[int, ...]], param: str, problem: str) -> None:
    with pytest.raises(LayerError, match=problem):
        from_caffe(f'type: "Accuracy" top: "a" accuracy_param {{ {param} }}', *shapes)
