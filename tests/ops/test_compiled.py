"""Layers that eager TensorFlow runs as a graph give what their operations give one by one."""

from __future__ import annotations

import gc
import time
from typing import Any
from weakref import ref

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_caffe import layers
from keras_caffe.errors import ShapeError
from keras_caffe.layers.base import CaffeLayer
from keras_caffe.ops.compiled import compiled

RNG = np.random.default_rng(0)
PRIORS = 6


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype("float32")


def boxes(count: int) -> np.ndarray:
    """(count, 4) xmin, ymin, xmax, ymax from 0 to 1."""
    return np.sort(RNG.random((count, 2, 2)), axis=1).reshape(count, 4).astype("float32")


def rows(count: int, *columns: float) -> np.ndarray:
    """(count, ...) some equal columns, then a box."""
    return np.concatenate([np.tile(np.float32(columns), (count, 1)), boxes(count)], axis=1)


SCORES = RNG.random((2, 3 * PRIORS), "float32")
OBJECTS = RNG.random((1, 3, 4, 18), "float32")
PRIOR = np.stack([boxes(PRIORS).ravel(), np.full(4 * PRIORS, 0.1, "float32")])[None]
DETECTIONS = rows(5, 0, 1, 0.5)[None, None]
TRUTH = np.concatenate([rows(3, 0, 1, 0), np.zeros((3, 1), "float32")], axis=1)[None, None]
REGIONS = rows(4, 0) * np.float32([1, 9, 9, 9, 9])
CASES: list[tuple[CaffeLayer, list[np.ndarray]]] = [
    (layers.DetectionOutput(3, confidence_threshold=0.2), [normal(2, 4 * PRIORS), SCORES, PRIOR]),
    (layers.MultiBoxLoss(3), [normal(1, 4 * PRIORS), normal(1, 3 * PRIORS), PRIOR, TRUTH]),
    (layers.PriorBox([4.0], [8.0], [2.0]), [normal(1, 3, 2, 4), normal(1, 24, 16, 3)]),
    (layers.Proposal(feat_stride=4), [OBJECTS, normal(1, 3, 4, 36), np.float32([[64, 64, 1]])]),
    (layers.ROIPooling(2, 2), [normal(1, 10, 10, 3), REGIONS]),
    (layers.PSROIPooling(2, 2, 1.0), [normal(1, 10, 10, 8), REGIONS]),
    (layers.ROIAlign(pooled_h=2, pooled_w=2), [normal(1, 10, 10, 3), REGIONS]),
    (layers.Yolov3DetectionOutput(2, [[(9, 9), (4, 6)]], [8]), [normal(1, 3, 3, 14)]),
    (layers.DetectionEvaluate(3, background_label_id=0), [DETECTIONS, TRUTH]),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "bottoms"), CASES, ids=lambda value: getattr(value, "name", ""))
def test_the_same_values(layer: CaffeLayer, bottoms: list[np.ndarray]) -> None:
    inputs = [tf.constant(x) for x in bottoms] if len(bottoms) > 1 else tf.constant(bottoms[0])
    found = tf.nest.flatten(layer(inputs))
    tf.config.run_functions_eagerly(True)
    try:
        one_by_one = tf.nest.flatten(layer(inputs))
    finally:
        tf.config.run_functions_eagerly(False)
    for a, b, c in zip(found, one_by_one, tf.nest.flatten(tf.function(layer)(inputs)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(c, b, rtol=1e-5, atol=1e-6)


class Seen(keras.layers.Layer):
    """Twice its input; notes for each run whether its operations run eagerly."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[bool] = []

    @compiled
    def call(self, inputs: Any) -> Any:
        self.seen.append(tf.executing_eagerly())
        return inputs * 2


def seen_and_dropped() -> ref[Seen]:
    """In a frame of its own, which ends: one that goes on may hold what its names once meant."""
    layer = Seen()
    for _ in range(3):
        np.testing.assert_array_equal(layer(tf.ones(2)), [2, 2])
    assert layer.seen == [False]
    np.testing.assert_array_equal(layer(tf.ones(5)), [2] * 5)
    np.testing.assert_array_equal(layer(tf.ones(7)), [2] * 7)
    assert layer.seen == [False] * 2  # of any size
    return ref(layer)


def test_an_eager_call_runs_a_graph_that_dies_with_its_layer() -> None:
    alive = seen_and_dropped()
    # A graph's finalizers leave what they held to the collector's next round, TensorFlow's threads to later.
    end = time.monotonic() + 60
    while alive() is not None and time.monotonic() < end:
        gc.collect()
    assert alive() is None


def test_proposal_takes_one_image_whatever_it_was_compiled_for() -> None:
    layer, bottoms = next(case for case in CASES if isinstance(case[0], layers.Proposal))
    layer(bottoms)
    for _ in range(2):
        with pytest.raises(ShapeError, match="one image at a time; expected a batch of 1; received 2"):
            layer([np.concatenate([x, x]) for x in bottoms])
