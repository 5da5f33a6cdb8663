"""SegAccuracy: ties, pixels of earlier batches, labels out of range; the arrays check its values."""

from __future__ import annotations

import numpy as np
import pytest

from keras_caffe import layers
from keras_caffe.errors import LayerError, ShapeError
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import from_caffe
from tests.random_nets.draft import Draft

CASES = [
    Case(
        "SegAccuracy",
        layers.SegAccuracy(255),
        [SHAPE, (None, 1, 4, 6)],
        refused=[
            ({"ignore_label": "0"}, "ignore_label must be a whole number; received '0'"),
            ({"reset": 2}, "reset must be True or False; received 2"),
        ],
    ),
]


def part(draft: Draft) -> None:
    scores = draft.image(kind="distinct")
    labels = draft.input(*((n, 1, h, w) for n, _, h, w in scores.shapes), "integers", (scores.shape[1],) * 2)
    fields = draft.fields(ignore_label=(0, 255, None), metric=("PixelIOU", None))
    draft.add("SegAccuracy", [scores, labels], f"seg_accuracy_param {{ {fields} }}")


PARTS = {"SegAccuracy": part}

SCORES = np.float32([[[[1, 1], [3, 2]]]])  # ties: the last class; then class 0
LABELS = np.float32([[[[1, 1]]]])


def test_of_equal_scores_the_last_wins() -> None:
    np.testing.assert_allclose(layers.SegAccuracy()([SCORES, LABELS]), [[[[0.5, 0.5, 0.25]]]])


def test_earlier_batches_count_until_they_are_forgotten() -> None:
    layer = layers.SegAccuracy(reset=False)
    layer([SCORES, LABELS])
    np.testing.assert_allclose(layer([SCORES, 1 - LABELS]), [[[[0.5, 0.5, 1 / 3]]]], rtol=1e-6)
    layer.reset_state()
    np.testing.assert_allclose(layer([SCORES, LABELS]), [[[[0.5, 0.5, 0.25]]]])


def test_without_pixels_no_class_misses() -> None:
    np.testing.assert_array_equal(layers.SegAccuracy(1)([SCORES, LABELS]), [[[[0, 0, 1]]]])


def test_refused() -> None:
    with pytest.raises(LayerError, match="a label is out of range; expected whole numbers from 0 to 1; received 7"):
        layers.SegAccuracy()([SCORES, LABELS * 7])
    with pytest.raises(ShapeError, match="number of labels"):
        from_caffe('type: "SegAccuracy"', (1, 2, 3, 4), (1, 1, 3, 3))
    with pytest.raises(ShapeError, match="4 axes"):
        from_caffe('type: "SegAccuracy"', (1, 2, 3), (1, 3))
