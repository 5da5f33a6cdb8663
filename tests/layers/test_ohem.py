"""Online hard example mining of R-FCN: the layers together, ties, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import keras_caffe
from keras_caffe import layers, proto
from keras_caffe.errors import LayerError, ShapeError
from tests.layers.cases import SHAPE, Case
from tests.layers.layer_case import from_caffe, tops
from tests.random_nets.draft import Draft
from tests.random_nets.parts_boxes import regions
from tests.random_nets.parts_losses import NORMALIZATION, class_labels, loss_fields

MODES = "expected one of FULL, VALID, BATCH_SIZE, NONE"
CASES = [
    Case(
        "SmoothL1LossOHEM",
        layers.SmoothL1LossOHEM("PRE_FIXED", 3.0, more_tops=1),
        [SHAPE, SHAPE, SHAPE],
        refused=[
            ({"normalization": "ALL"}, f"unknown normalization; {MODES}, PRE_FIXED; received 'ALL'"),
            ({"pre_fixed_normalizer": "1"}, "pre_fixed_normalizer must be a number; received '1'"),
            ({"more_tops": 2}, "more_tops must be a whole number of at least 0 and of at most 1; received 2"),
        ],
    ),
    Case(
        "SoftmaxWithLossOHEM",
        layers.SoftmaxWithLossOHEM(more_tops=2),
        [SHAPE, (None, 4, 6)],
        refused=[
            ({"axis": 1.5}, "axis must be a whole number; received 1.5"),
            ({"batch_axes": -1}, "batch_axes must be a whole number of at least 0; received -1"),
            ({"ignore_label": 1.5}, "ignore_label must be a whole number; received 1.5"),
            ({"normalization": "PRE_FIXED"}, f"unknown normalization; {MODES}; received 'PRE_FIXED'"),
            ({"more_tops": 3}, "more_tops must be a whole number of at least 0 and of at most 2; received 3"),
        ],
    ),
    Case(
        "BoxAnnotatorOHEM",
        layers.BoxAnnotatorOHEM(2),
        [(None, 5), (None, 1), (None, 1), (None, 4)],
        refused=[
            ({"roi_per_img": 0}, "roi_per_img must be a whole number of at least 1; received 0"),
            ({"ignore_label": 0.5}, "ignore_label must be a whole number; received 0.5"),
        ],
    ),
]


def smooth_l1(draft: Draft) -> None:
    first = draft.bottom(1, 2, 3, 4)
    bottoms = [first, *(draft.like(first) for _ in range(draft.choose((1, 2))))]
    fields = draft.fields(normalization=(*NORMALIZATION, "PRE_FIXED"), pre_fixed_normalizer=(0.5, 7, None))
    count = draft.choose((1, 2))
    draft.add("SmoothL1LossOHEM", bottoms, f"loss_param {{ {fields} }}{weights(count)}", count)


def softmax(draft: Draft) -> None:
    scores, count = draft.bottom(2, 3, 4), draft.choose((1, 2, 3))
    more = f"softmax_param {{ axis: 1 }} {loss_fields(draft)}{weights(count)}"
    draft.add("SoftmaxWithLossOHEM", [scores, class_labels(draft, scores, 1)], more, count)


def weights(count: int) -> str:
    return " loss_weight: 1" + " loss_weight: 0" * (count - 1)


def annotator(draft: Draft) -> None:
    rois = regions(draft, draft.bottom(4))
    first, second = (shape[0] for shape in rois.shapes)
    losses = draft.input((first, 1), (second, 1), "distinct")
    labels = draft.input((first, 1), (second, 1), "integers", (3, 3))
    boxes = draft.input((first, 4), (second, 4))
    fields = draft.fields(roi_per_img=(1, 2), ignore_label=(0, 255, None))
    draft.add("BoxAnnotatorOHEM", [rois, losses, labels, boxes], f"box_annotator_ohem_param {{ {fields} }}", 2)


PARTS: dict[str, Callable[[Draft], None]] = {
    "BoxAnnotatorOHEM": annotator,
    "SmoothL1LossOHEM": smooth_l1,
    "SoftmaxWithLossOHEM": softmax,
}

NET = """
layer { name: "rois" type: "Input" top: "rois" input_param { shape { dim: 5 dim: 5 } } }
layer { name: "scores" type: "Input" top: "scores" input_param { shape { dim: 5 dim: 3 } } }
layer { name: "labels" type: "Input" top: "labels" input_param { shape { dim: 5 dim: 1 } } }
layer { name: "boxes" type: "Input" top: "boxes" input_param { shape { dim: 5 dim: 4 } } }
layer { name: "targets" type: "Input" top: "targets" input_param { shape { dim: 5 dim: 4 } } }
layer { name: "w" type: "Input" top: "w" input_param { shape { dim: 5 dim: 4 } } }
layer { name: "each" type: "SoftmaxWithLossOHEM" bottom: "scores" bottom: "labels" top: "l0" top: "p0" top: "each"
  loss_weight: 0 loss_weight: 0 loss_weight: 0 propagate_down: false propagate_down: false }
layer { name: "hard" type: "BoxAnnotatorOHEM" bottom: "rois" bottom: "each" bottom: "labels" bottom: "w"
  top: "hard_labels" top: "hard_w" propagate_down: false propagate_down: false propagate_down: false
  propagate_down: false box_annotator_ohem_param { roi_per_img: 1 ignore_label: -1 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "scores" bottom: "hard_labels" top: "loss"
  propagate_down: true propagate_down: false loss_param { ignore_label: -1 } }
layer { name: "l1" type: "SmoothL1LossOHEM" bottom: "boxes" bottom: "targets" bottom: "hard_w" top: "l1"
  loss_param { normalization: PRE_FIXED pre_fixed_normalizer: 4 } }
"""


def test_only_the_hardest_region_of_each_image_is_learned_from() -> None:
    model = keras_caffe.load(NET, phase="TRAIN")
    scores = tf.constant([[5.0, 0, 0], [0, 1, 0], [0, 0, 1], [2, 0, 0], [0, 3, 0]])
    boxes = tf.fill((5, 4), 3.0)
    fed = {"rois": np.zeros((5, 5), "float32"), "labels": np.float32([[0], [0], [2], [1], [1]])}
    fed["rois"][3:, 0] = 1
    fed |= {"targets": np.ones((5, 4), "float32"), "w": np.ones((5, 4), "float32")}
    with tf.GradientTape() as tape:
        tape.watch((scores, boxes))
        found = model({name: tf.convert_to_tensor(x) for name, x in {**fed, "scores": scores, "boxes": boxes}.items()})
        loss = found["loss"] + found["l1"]
    by_score, by_box = tape.gradient(loss, [scores, boxes])
    hardest = [1, 3]
    assert [i for i in range(5) if by_score[i].numpy().any()] == hardest
    assert found["l1"] == 2 * 4 * 1.5 / 4
    np.testing.assert_array_equal(by_box, np.isin(np.arange(5), hardest)[:, None] * np.full((5, 4), 0.25))


def test_of_equal_losses_the_earlier_counts() -> None:
    rois, ones = np.zeros((3, 5), "float32"), np.ones((3, 1), "float32")
    labels, weights = layers.BoxAnnotatorOHEM(2)([rois, ones, ones, ones])
    assert labels.numpy().ravel().tolist() == [1, 1, -1]
    assert weights.numpy().ravel().tolist() == [1, 1, 0]


def test_a_constant_below_1_divides_by_1() -> None:
    a, b = np.float32([[2.0]]), np.float32([[0.0]])
    assert layers.SmoothL1LossOHEM("PRE_FIXED", 0.5)([a, b]) == 1.5
    assert layers.SmoothL1LossOHEM("PRE_FIXED", 3.0)([a, b]) == 0.5


@pytest.mark.parametrize("kind", ["SoftmaxWithLoss", "SoftmaxWithLossOHEM", "SigmoidCrossEntropyLoss"])
def test_other_losses_refuse_a_fixed_constant(kind: str) -> None:
    text = f'type: "{kind}" loss_param {{ normalization: PRE_FIXED pre_fixed_normalizer: 2 }}'
    labels = (2, 3) if "Sigmoid" in kind else (2,)
    with pytest.raises(LayerError, match=f"{kind} has no normalization PRE_FIXED"):
        from_caffe(text, (2, 3), labels)


@pytest.mark.parametrize(
    ("shapes", "reason"),
    [
        ([(2, 4), (2, 1), (2, 1), (2, 8)], "values for each of the regions; expected 5; received 4"),
        ([(2, 5), (3, 1), (2, 1), (2, 8)], "one number of regions"),
        ([(2, 5), (2, 2), (2, 1), (2, 8)], "values for each of the losses; expected 1; received 2"),
        ([(2, 5), (2, 1), (2, 1, 2), (2, 8)], "the labels must have size 1 from axis 2 on"),
    ],
)
def test_the_annotator_refuses_other_shapes(shapes: list[tuple[int, ...]], reason: str) -> None:
    with pytest.raises(ShapeError, match=reason):
        tops('type: "BoxAnnotatorOHEM" top: "l" top: "w" box_annotator_ohem_param { roi_per_img: 2 }', *shapes)


@pytest.mark.parametrize(
    ("stored", "mode", "constant"),
    [
        (b"\x18\x03\x25\x00\x00\x00\x43", "PRE_FIXED", 128.0),  # normalization 3, pre_fixed_normalizer 4 as a float
        (b"\x18\x04", "NONE", 1.0),
        (b"\x18\x01", "VALID", 1.0),
    ],
)
def test_a_binary_file_of_rfcn_has_its_own_numbers(stored: bytes, mode: str, constant: float, tmp_path: Path) -> None:
    layer = proto.LayerParameter(name="l", type="SmoothL1LossOHEM", bottom=["a", "b"], top=["l"])
    layer.loss_param.MergeFromString(stored)
    shape = {"shape": [{"dim": [2, 4, 3, 3]}]}
    inputs = [proto.LayerParameter(name=n, type="Input", top=[n], input_param=shape) for n in "ab"]
    (tmp_path / "net.prototxt").write_bytes(proto.NetParameter(layer=[*inputs, layer]).SerializeToString())
    built = keras_caffe.load(tmp_path / "net.prototxt", phase="TRAIN").caffe_layers["l"]
    assert (built.normalization, built.pre_fixed_normalizer) == (mode, constant)
