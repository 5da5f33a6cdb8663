"""Yolov3DetectionOutput against plain loops, with uncertain boxes too, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe import layers
from keras_caffe.errors import CaffeError
from tests.layers.cases import Case
from tests.layers.layer_case import from_caffe
from tests.nets import net_with

CASES = [
    Case(
        "Yolov3DetectionOutput",
        reason="values decide the number of rows",
        net=net_with(
            "Yolov3DetectionOutput",
            (2, 7, 3, 3),
            param="yolov3_detection_output_param { num_classes: 2 num_box: 1 mask_group_num: 1 mask: 0 biases: 10 "
            "biases: 14 anchors_scale: 32 }",
        ),
    ),
]

TEXT = """type: "Yolov3DetectionOutput" top: "d" yolov3_detection_output_param {
    num_classes: 2 num_box: 2 confidence_threshold: 0.4 nms_threshold: 0.3 mask_group_num: 2
    biases: 10 biases: 14 biases: 23 biases: 27 biases: 37 biases: 58 biases: 81 biases: 82
    mask: 2 mask: 3 mask: 0 mask: 1 anchors_scale: 32 anchors_scale: 16 }"""
SHAPES = [(2, 14, 3, 3), (2, 14, 6, 6)]
ANCHORS = [[(37, 58), (81, 82)], [(10, 14), (23, 27)]]


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def candidates(x: np.ndarray, anchors: list[tuple[int, int]], scale: int) -> list[list[float]]:
    found = []
    batch, side = x.shape[:2]
    for place in np.ndindex(batch, side, side, 2):
        values = x[place[:3]].reshape(2, 7)[place[3]]
        x0, y0 = (place[2] + sigmoid(values[0])) / side, (place[1] + sigmoid(values[1])) / side
        w, h = np.exp(values[2:4]) * anchors[place[3]] / (side * scale)
        for label in range(2):
            score = sigmoid(values[4]) * sigmoid(values[5 + label])
            if score > 0.4:
                found.append([0, label + 1, score, x0 - w / 2, y0 - h / 2, x0 + w / 2, y0 + h / 2])
    return found


def iou(a: list[float], b: list[float]) -> float:
    w, h = min(a[5], b[5]) - max(a[3], b[3]), min(a[6], b[6]) - max(a[4], b[4])
    common = max(w, 0) * max(h, 0)
    return common / ((a[5] - a[3]) * (a[6] - a[4]) + (b[5] - b[3]) * (b[6] - b[4]) - common)


@pytest.mark.parametrize("graph", [False, True])
def test_detections_are_those_of_a_plain_loop(graph: bool) -> None:
    rng = np.random.default_rng(0)
    maps = [rng.normal(0, 1.5, (n, h, w, c)).astype("float32") for n, c, h, w in SHAPES]
    kept: list[list[float]] = []
    found = [
        row for x, anchors, scale in zip(maps, ANCHORS, (32, 16), strict=True) for row in candidates(x, anchors, scale)
    ]
    for row in sorted(found, key=lambda row: -row[2]):
        if all(iou(row, other) < 0.3 for other in kept):
            kept.append(row)
    layer = from_caffe(TEXT, *SHAPES)
    rows = (tf.function(layer) if graph else layer)(maps)
    np.testing.assert_allclose(rows[0, 0], kept, rtol=1e-5, atol=1e-6)


def test_nothing_found() -> None:
    layer = from_caffe(TEXT, *SHAPES)
    rows = layer([np.full((n, h, w, c), -9, "float32") for n, c, h, w in SHAPES])
    np.testing.assert_array_equal(rows[0, 0], [[image] + [-1] * 6 for image in range(2)])


def test_config() -> None:
    layer = from_caffe(TEXT, *SHAPES)
    copy = layers.Yolov3DetectionOutput.from_config(layer.get_config())
    assert (copy.anchors, copy.scales) == (layer.anchors, layer.scales)
    assert copy.compute_output_shape([(None, 3, 3, 14), (None, 6, 6, 14)]) == (1, 1, None, 7)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("num_classes: 2", "", "num_classes is missing"),
        ("mask_group_num: 2", "mask_group_num: 3", "mask_group_num must be the number of bottoms"),
        ("mask: 3", "mask: 4", "masks or biases are missing"),
        ("anchors_scale: 16", "", "anchors_scale in files\\) must be given for each bottom; expected 2; received 1"),
    ],
)
def test_refused(old: str, new: str, reason: str) -> None:
    with pytest.raises(CaffeError, match=reason):
        from_caffe(TEXT.replace(old, new), *SHAPES)


def test_maps_are_deep_enough() -> None:
    with pytest.raises(CaffeError, match="number of channels; expected 14"):
        from_caffe(TEXT, (2, 15, 3, 3), SHAPES[1])


def test_uncertain_boxes_score_less() -> None:
    """Values without uncertainty score half of what the same boxes score without the fields: 1 - sigmoid(0)."""
    rng = np.random.default_rng(1)
    plain = rng.normal(0, 1, (1, 2, 3, 7)).astype("float32")
    uncertain = np.insert(plain, [1, 2, 3, 4], 0, axis=-1)
    rules = {"num_classes": 2, "anchors": [[(9, 14)]], "scales": 32, "nms_threshold": 1.0}
    want = layers.Yolov3DetectionOutput(**rules, confidence_threshold=0.1)(plain)[0, 0].numpy()
    want[:, 2] /= 2
    found = layers.Yolov3DetectionOutput(**rules, confidence_threshold=0.05, gaussian_box=True)(uncertain)
    np.testing.assert_allclose(found[0, 0], want, rtol=1e-6)
