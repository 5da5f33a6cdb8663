"""DetectionEvaluate: cases worked out by hand, and a plain loop over images, labels and boxes."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from keras_caffe import layers
from keras_caffe.errors import CaffeWarning, LayerError, ShapeError
from keras_caffe.layers.context import LoadContext, loading
from tests.layers.cases import Case
from tests.layers.layer_case import make, tops
from tests.nets import net_with

CASES = [
    Case(
        "DetectionEvaluate",
        reason="it needs boxes, and values decide the number of rows",
        net=net_with(
            "DetectionEvaluate", (1, 1, 3, 7), (1, 1, 2, 8), param="detection_evaluate_param { num_classes: 3 }"
        ),
    ),
]

UNIT = (0.0, 0.0, 1.0, 1.0)
HALF = (0.0, 0.0, 0.5, 1.0)  # overlaps UNIT by 0.5
AWAY = (2.0, 2.0, 3.0, 3.0)


def evaluate(detections: list, truth: list, **kwargs) -> np.ndarray:
    layer = layers.DetectionEvaluate(3, **kwargs)
    arrays = (np.asarray(rows, "float32").reshape(1, 1, -1, width) for rows, width in ((detections, 7), (truth, 8)))
    return np.asarray(layer(list(arrays)))[0, 0]


def test_the_best_of_those_that_overlap_hits() -> None:
    detections = [(0, 1, 0.3, *UNIT), (0, 1, 0.9, *HALF), (0, 1, 0.5, *AWAY)]
    got = evaluate(detections, [(0, 1, 0, *UNIT, 0)])
    heads = [[-1, 1, 1, -1, -1], [-1, 2, 0, -1, -1]]
    np.testing.assert_array_equal(got, np.float32([*heads, [0, 1, 0.9, 1, 0], [0, 1, 0.5, 0, 1], [0, 1, 0.3, 0, 1]]))


def test_a_difficult_box_is_neither_hit_nor_missed() -> None:
    got = evaluate([(0, 1, 0.3, *UNIT)], [(0, 1, 0, *UNIT, 1)], evaluate_difficult_gt=False)
    np.testing.assert_array_equal(got, np.float32([[-1, 1, 0, -1, -1], [-1, 2, 0, -1, -1], [0, 1, 0.3, 0, 0]]))
    assert evaluate([(0, 1, 0.3, *UNIT)], [(0, 1, 0, *UNIT, 1)])[2].tolist()[3:] == [1, 0]


def test_refinedet_takes_labels_above_1_of_two_classes_for_1() -> None:
    bottoms = [np.float32(rows).reshape(1, 1, 1, -1) for rows in ((0, 1, 0.9, *UNIT), (0, 5, 0, *UNIT, 0))]
    text = 'name: "e" type: "DetectionEvaluate" detection_evaluate_param { num_classes: 2 }'
    hits = {}
    for fork in ("ssd", "refinedet"):
        with loading(LoadContext(fork=fork)):
            layer, _ = make(text, *[x.shape for x in bottoms])
        hits[fork] = np.asarray(layer(bottoms))[0, 0].tolist()
    assert hits["refinedet"] == [[-1, 1, 1, -1, -1], [0, 1, np.float32(0.9), 1, 0]]
    assert hits["ssd"] != hits["refinedet"]
    with pytest.raises(LayerError, match="objects_alike needs two classes"):
        layers.DetectionEvaluate(3, objects_alike=True)


def test_without_ground_truth_the_order_stays_and_all_miss() -> None:
    detections = [(1, 2, 0.25, *UNIT), (0, 2, 0.25, *UNIT), (1, 1, 0.25, *UNIT), (0, 2, 0.5, *UNIT)]
    got = evaluate(detections, [(-1,) * 8])
    assert got[2:].tolist() == [[0, 2, 0.25, 0, 1], [0, 2, 0.5, 0, 1], [1, 1, 0.25, 0, 1], [1, 2, 0.25, 0, 1]]


def test_nothing_found_leaves_the_classes() -> None:
    got = evaluate([(0, *[-1] * 6), (1, *[-1] * 6)], [(1, 2, 0, *UNIT, 0)] * 2)
    assert got.tolist() == [[-1, 1, 0, -1, -1], [-1, 2, 2, -1, -1]]


def test_a_background_of_another_label() -> None:
    assert evaluate([(0, *[-1] * 6)], [(0, 0, 0, *UNIT, 0)], background_label_id=2)[:, 1:3].tolist() == [[0, 1], [1, 0]]


def test_against_a_plain_loop() -> None:
    random = np.random.default_rng(0)
    corners = random.uniform(0, 0.6, (60, 2)), random.uniform(0.2, 0.4, (60, 2))
    boxes = np.concatenate([corners[0], corners[0] + corners[1]], axis=1)
    ids = random.integers(0, [[3, 2]], (60, 2)) + [0, 1]
    truth = np.concatenate([ids[:20], np.zeros((20, 1)), boxes[:20], random.integers(0, 2, (20, 1))], axis=1)
    detections = np.concatenate([ids[20:], random.permutation(40)[:, None], boxes[20:]], axis=1)
    truth, detections = truth.astype("float32"), detections.astype("float32")
    for difficult in (True, False):
        got = evaluate(list(detections), list(truth), overlap_threshold=0.3, evaluate_difficult_gt=difficult)
        np.testing.assert_array_equal(got[2:], loop(detections, truth, 0.3, difficult))


def loop(detections: np.ndarray, truth: np.ndarray, threshold: float, difficult: bool) -> list[list[float]]:
    rows = []
    for image, label in sorted({(d[0], d[1]) for d in detections}):
        mine = [d for d in detections if (d[0], d[1]) == (image, label)]
        boxes = [t for t in truth if (t[0], t[1]) == (image, label)]
        taken = set()
        for d in sorted(mine, key=lambda d: -d[2]) if boxes else mine:
            common = [jaccard(d[3:], t[3:7]) for t in boxes]
            best = int(np.argmax(common)) if boxes else -1
            hit, miss = 0, 1
            if boxes and common[best] >= threshold:
                hit = int(best not in taken)
                miss = 1 - hit
                if not difficult and boxes[best][7]:
                    hit = miss = 0
                else:
                    taken.add(best)
            rows.append([image, label, d[2], hit, miss])
    return rows


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    common = sides.prod() if (sides > 0).all() else 0
    return common / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - common)


def test_it_runs_in_a_graph() -> None:
    layer = layers.DetectionEvaluate(3)
    specs = [tf.TensorSpec((1, 1, None, width), "float32") for width in (7, 8)]
    graph = tf.function(lambda *x: layer(list(x)), input_signature=specs)
    inputs = np.float32([[[(0, 1, 0.5, *UNIT)]]]), np.float32([[[(0, 1, 0, *UNIT, 0)]]])
    np.testing.assert_array_equal(graph(*inputs), layer(list(inputs)))


TEXT = 'name: "e" type: "DetectionEvaluate" detection_evaluate_param {{ {} }}'
SHAPES = (1, 1, 1, 7), (1, 1, 4, 8)


def test_shapes_and_refusals() -> None:
    assert tops(TEXT.format("num_classes: 21"), *SHAPES) == [(1, 1, None, 5)]
    with pytest.raises(LayerError, match="num_classes"):
        make(TEXT.format(""), *SHAPES)
    with pytest.raises(LayerError, match="overlap_threshold must be a number above 0"):
        make(TEXT.format("num_classes: 2 overlap_threshold: 0"), *SHAPES)
    with pytest.raises(ShapeError, match="detections"):
        tops(TEXT.format("num_classes: 2"), SHAPES[0], (1, 1, 4, 7))
    with pytest.warns(CaffeWarning, match="in units of the image"):
        make(TEXT.format('num_classes: 2 name_size_file: "sizes.txt"'), *SHAPES)
