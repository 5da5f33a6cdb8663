"""YoloDetectionOutput: random nets, and what it refuses; the arrays check its values."""

from __future__ import annotations

import numpy as np
import pytest

from keras_caffe.errors import CaffeError
from tests.layers.cases import Case
from tests.layers.layer_case import from_caffe
from tests.random_nets.draft import Draft

CASES = [
    Case("YoloDetectionOutput", reason="values decide the number of rows"),
]
TEXT = """type: "YoloDetectionOutput" top: "d" yolo_detection_output_param {
    num_classes: 2 num_box: 1 confidence_threshold: 0.25 biases: 1.5 biases: 2 }"""


def yolo(draft: Draft) -> None:
    classes, side = draft.choose((2, 3)), draft.choose((1, 3))
    x = draft.fixed_input(1, 2 * (5 + classes), side, side, kind="distinct")
    fields = f"num_classes: {classes} num_box: 2 biases: 1.5 biases: 2 biases: 0.7 biases: 0.9 "
    fields += draft.fields(confidence_threshold=(0.2, None), nms_threshold=(0.33, None))
    draft.add("YoloDetectionOutput", [x], f"yolo_detection_output_param {{ {fields} }}", open=True)


PARTS = {"YoloDetectionOutput": yolo}


def test_a_box_counts_for_its_best_class_from_the_threshold_on() -> None:
    """sigmoid(0) softmax(0, 0) = 1/4 is just enough, and of equal classes the first counts."""
    rows = from_caffe(TEXT, (1, 7, 1, 1))(np.zeros((1, 1, 1, 7), "float32"))
    np.testing.assert_allclose(rows[0, 0], [[0, 1, 0.25, -0.25, -0.5, 1.25, 1.5]], rtol=1e-6)


def test_nothing_found() -> None:
    rows = from_caffe(TEXT, (2, 7, 1, 1))(np.full((2, 1, 1, 7), -9, "float32"))
    np.testing.assert_array_equal(rows[0, 0], [[image] + [-1] * 6 for image in range(2)])


@pytest.mark.parametrize(
    ("text", "shape", "reason"),
    [
        (
            TEXT.replace("biases: 2 }", "}"),
            (1, 7, 2, 2),
            "biases are missing; expected 2, two for each box",
        ),
        (TEXT.replace("num_box: 1", "coords: 5 num_box: 1"), (1, 7, 2, 2), "boxes have four coordinates"),
        (TEXT, (1, 7, 2, 3), "as high as it is wide"),
        (TEXT, (1, 8, 2, 2), "wrong number of channels; expected 7; received 8"),
        (TEXT, (1, 7, 2), "a feature map needs 4 axes"),
    ],
)
def test_refused(text: str, shape: tuple[int, ...], reason: str) -> None:
    with pytest.raises(CaffeError, match=reason):
        from_caffe(text, shape)
