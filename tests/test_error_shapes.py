"""Errors show shapes as their reader knows them: Caffe's order for a file, the data format's for a model's inputs."""

from __future__ import annotations

import copy
import itertools
import pickle
import re
from collections.abc import Iterator
from typing import Any

import keras
import pytest

import keras_caffe
from keras_caffe import layers
from keras_caffe.converters.definition import read_definition
from keras_caffe.converters.load import PlanSettings, plan
from keras_caffe.errors import LayerError, NetError, ShapeError
from keras_caffe.registry import registered
from keras_caffe.shapes import Shown, merge_shapes, shown_axis
from tests.nets import net_with

A = (2, 3, 5, 7)
TALLER = (2, 3, 6, 7)
RANK_3, RANK_5 = (2, 3, 5), (2, 3, 5, 7, 4)


CONV = "convolution_param { num_output: 4 kernel_size: %d axis: %d }"
LABELS = "expected 70 labels for scores (2, 3, 5, 7); received 2 labels of shape (2,)."
YOLO = """yolov3_detection_output_param {
  num_classes: 2 num_box: 1 mask_group_num: 1 mask: 0 biases: 1 biases: 2 anchors_scale: 32 }"""

# Stored channels last, mostly; sizes that all differ, so that each order looks different.
CASES = [
    (net_with("Concat", A, TALLER), "along axis 1 only; expected (2, None, 5, 7); received (2, None, 6, 7)"),
    (net_with("Concat", A, (2, 4, 5, 7), (2, 4, 6, 7)), "expected (2, None, 5, 7); received (2, None, 6, 7)"),
    (
        net_with("Concat", A, (2, 4, 6, 7), param="concat_param { axis: 2 }"),
        "along axis 2 only; expected (2, 3, None, 7); received (2, 4, None, 7)",
    ),
    (net_with("Concat", A, (2, 3)), "received [(2, 3, 5, 7), (2, 3)]"),
    (net_with("Crop", A, (2, 3, 9, 7)), "beyond its bottom along axis 2; expected offset + size of at most 5"),
    (
        net_with("Crop", A, (2, 4, 5, 7), param="crop_param { axis: 1 }"),
        "along axis 1; expected offset + size of at most 3",
    ),
    (net_with("Crop", A, (2, 3)), "expected (2, 3, 5, 7); received (2, 3)"),
    (net_with("Eltwise", A, TALLER), "expected (2, 3, 5, 7); received (2, 3, 6, 7)"),
    (net_with("Eltwise", A, A, TALLER), "expected (2, 3, 5, 7); received (2, 3, 6, 7)"),
    (
        net_with("Convolution", A, TALLER, param=CONV % (1, 1), tops="y z"),
        "expected (2, 3, 5, 7); received (2, 3, 6, 7)",
    ),
    (
        net_with("Convolution", A, (2, 4, 5, 7), param=CONV % (1, 2), tops="y z"),
        "expected (2, 3, 5, 7); received (2, 4, 5, 7)",
    ),
    (net_with("Convolution", A, param=CONV % (13, 1)), "received input (5, 7), kernel (13, 13), output (-7, -5)"),
    (
        net_with("Deconvolution", A, TALLER, param=CONV % (1, 1), tops="y z"),
        "expected (2, 3, 5, 7); received (2, 3, 6, 7)",
    ),
    (net_with("Im2col", A, param="convolution_param { kernel_size: 13 }"), "received input (5, 7)"),
    (net_with("Axpy", (2, 3, 1, 1), A, TALLER), "expected (2, 3, 5, 7); received (2, 3, 6, 7)"),
    (net_with("Axpy", (2, 3, 2, 1), A, A), "received (2, 3, 2, 1)"),
    (net_with("Axpy", (2, 3, 1, 1), RANK_5, RANK_5), "expected at most 4; received (2, 3, 5, 7, 4)"),
    (net_with("Accuracy", A, (2,)), LABELS),
    (net_with("SoftmaxWithLoss", A, (2,)), LABELS),
    (net_with("InfogainLoss", A, (2,), (3, 3)), LABELS),
    (net_with("MultinomialLogisticLoss", A, (2, 4, 1, 1)), "size 1 from axis 1 on; received (2, 4, 1, 1)"),
    (net_with("ContrastiveLoss", A, A, (2,)), "size 1 from axis 2 on; received (2, 3, 5, 7)"),
    (net_with("SmoothL1Loss", A, (2, 3, 7, 5)), "expected (2, 3, 5, 7); received (2, 3, 7, 5)"),
    (
        net_with("Interp", RANK_3, param="interp_param { height: 4 width: 4 }"),
        "a bottom with 4 axes; received (2, 3, 5)",
    ),
    (net_with("Interp", A, param="interp_param { pad_beg: -3 pad_end: -3 height: 4 width: 4 }"), "received (5, 7)"),
    (net_with("LRN", RANK_3), "a bottom with 4 axes; received (2, 3, 5)"),
    (
        net_with("Pooling", RANK_5, param="pooling_param { kernel_size: 2 }"),
        "a bottom with 4 axes; received (2, 3, 5, 7, 4)",
    ),
    (net_with("Normalize", RANK_5), "2 to 4 axes; received (2, 3, 5, 7, 4)"),
    (net_with("MVN", RANK_5), "at most 4; received (2, 3, 5, 7, 4)"),
    (net_with("PriorBox", A, RANK_3, param="prior_box_param { min_size: 3 }"), "bottoms of 4 axes; received (2, 3, 5)"),
    (
        net_with("Proposal", A, (2, 4, 5, 7), (1, 3), param="proposal_param { feat_stride: 16 ratio: 1 scale: 8 }"),
        "expected 2 channels; received (2, 3, 5, 7)",
    ),
    (
        net_with("ROIPooling", A, RANK_5, param="roi_pooling_param { pooled_h: 2 pooled_w: 2 }"),
        "expected (R, 5); received (2, 3, 5, 7, 4)",
    ),
    (net_with("SPP", RANK_3, param="spp_param { pyramid_height: 2 }"), "received (2, 3, 5)"),
    (net_with("SPP", A, param="spp_param { pyramid_height: 4 }"), "received size (5, 7), kernel [2, 2], pad [2, 1]"),
    (
        net_with("Upsample", A, TALLER, param="upsample_param { scale: 2 }"),
        "expected (2, 3, 5, 7); received (2, 3, 6, 7)",
    ),
    (
        net_with("Yolov3DetectionOutput", A, param=YOLO),
        "wrong number of channels; expected",
    ),
    (net_with("ShuffleChannel", RANK_5, param="shuffle_channel_param { group: 2 }"), "received (2, 3, 5, 7, 4)"),
    (net_with("Reorg", RANK_3, param="reorg_param { stride: 2 }"), "expected (N, C, H, W); received (2, 3, 5)"),
    (net_with("Bias", A, (3, 7), param="bias_param { axis: 1 }"), "expected (3, 5); received (3, 7)"),
    (net_with("Scale", A, (2, 3, 7), param="scale_param { axis: 0 }"), "expected (2, 3, 5); received (2, 3, 7)"),
    (
        net_with("Reshape", A, param="reshape_param { shape { dim: 2 dim: 4 } }"),
        "expected 210 values of bottom (2, 3, 5, 7)",
    ),
    (
        net_with("LSTM", (4, 2, 3), (4, 3), param="recurrent_param { num_output: 3 }"),
        "expected (4, 2); received (4, 3)",
    ),
    (net_with("Tile", A, param="tile_param { axis: 1 tiles: 999999999 }"), "received (2, 2999999997, 5, 7)"),
]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("text", "said"), CASES, ids=[text.split('type: "')[-1].split('"')[0] for text, _ in CASES])
def test_a_file_is_refused_in_caffes_order(text: str, said: str, data_format: str) -> None:
    with pytest.raises(ShapeError) as caught:
        keras_caffe.load(text, data_format=data_format)
    assert said in str(caught.value)
    assert "layer 'layer' (" in str(caught.value)


OTHERS = [TALLER, (2, 4, 5, 7), (2, 3, 7, 5), RANK_3, (2, 3), RANK_5]
FIELDS = {
    "Clip": "clip_param { min: 0 max: 1 }",
    "Convolution": CONV % (9, 1),
    "Deconvolution": CONV % (1, 1),
    "DepthwiseConvolution": CONV % (9, 1),
    "ConvolutionDepthwise": CONV % (9, 1),
    "Im2col": "convolution_param { kernel_size: 9 }",
    "InnerProduct": "inner_product_param { num_output: 2 axis: 3 }",
    "Interp": "interp_param { pad_beg: -9 height: 2 width: 2 }",
    "Maxout": "maxout_param { num_output: 2 }",
    "MultiBoxLoss": "multibox_loss_param { num_classes: 2 }",
    "PSROIPooling": "psroi_pooling_param { output_dim: 2 group_size: 2 spatial_scale: 1 }",
    "Pooling": "pooling_param { kernel_size: 12 }",
    "PriorBox": "prior_box_param { min_size: 3 }",
    "Proposal": "proposal_param { feat_stride: 16 ratio: 1 scale: 8 }",
    "ROIAlign": "roi_align_param { pooled_h: 2 pooled_w: 2 }",
    "ROIPooling": "roi_pooling_param { pooled_h: 2 pooled_w: 2 }",
    "ROIWarping": "roi_warping_param { pooled_h: 2 pooled_w: 2 }",
    "DeformablePSROIPooling": "deformable_psroi_pooling_param { output_dim: 2 group_size: 2 spatial_scale: 1 "
    "part_size: 2 }",
    "Reorg": "reorg_param { stride: 2 }",
    "Reshape": "reshape_param { shape { dim: 4 dim: -1 } }",
    "SPP": "spp_param { pyramid_height: 5 }",
    "ShuffleChannel": "shuffle_channel_param { group: 4 }",
    "Tile": "tile_param { tiles: 99999999 axis: 2 }",
    "Upsample": "upsample_param { scale: 2 }",
    "Yolov3DetectionOutput": YOLO,
}


def refusals(type: str) -> Iterator[tuple[list[tuple[int, ...]], str]]:
    """The bottoms that a type refuses, of many that differ in one of them, and what it says."""
    least, most = registered()[type].bottoms
    for number in {max(least, 1), min(most or least + 1, max(least, 1) + 1)}:
        for at, other in itertools.product(range(number), OTHERS):
            shapes = [other if index == at else A for index in range(number)]
            tops = "y z" if type in ("Convolution", "Deconvolution", "Slice") and number == 2 else "y"
            net = read_definition(net_with(type, *shapes, param=FIELDS.get(type, ""), tops=tops)).select()
            try:
                plan(net, PlanSettings(data_format="channels_last"))
            except (LayerError, NetError) as error:
                yield shapes, f"{error.expected} {error.received}"


WITH_BOTTOMS = [type for type, cls in registered().items() if cls.bottoms != (0, 0) and type != "Python"]


def test_no_layer_shows_a_shape_in_stored_order() -> None:
    shown = 0
    for layer, (shapes, said) in ((type, refusal) for type in WITH_BOTTOMS for refusal in refusals(type)):
        found = [tuple(map(int, match.split(", "))) for match in re.findall(r"\((\d+(?:, \d+){2,})\)", said)]
        stored = [shape for shape in found if shape not in shapes and sorted(shape) in map(sorted, shapes)]
        assert not stored, f"{layer} on {shapes}: {said}"
        shown += len(found)
    assert shown > 200


DYNAMIC = """layer { name: "a" type: "Input" top: "a" }
layer { name: "b" type: "Input" top: "b" }
layer { name: "c" type: "Convolution" bottom: "a" top: "c" convolution_param { num_output: 3 kernel_size: 1 } }
layer { name: "l" type: "%s" bottom: "c" bottom: "b" top: "l" }"""


@pytest.mark.parametrize(
    ("type", "data_format", "said"),
    [
        ("Eltwise", "channels_last", "expected (2, 5, 7, 3); received (2, 6, 7, 3)"),
        ("Eltwise", "channels_first", "expected (2, 3, 5, 7); received (2, 3, 6, 7)"),
        ("Concat", "channels_last", "along axis 3 only; expected (2, 5, 7, None); received (2, 6, 7, None)"),
        ("Concat", "channels_first", "along axis 1 only; expected (2, None, 5, 7); received (2, None, 6, 7)"),
        ("Crop", "channels_last", "along axis 1; expected offset + size of at most 5"),
        ("Crop", "channels_first", "along axis 2; expected offset + size of at most 5"),
    ],
)
def test_a_model_refuses_inputs_in_its_data_format(type: str, data_format: str, said: str) -> None:
    shapes: dict[str, Any] = dict.fromkeys("ab", (None, 3, None, None))
    model = keras_caffe.load(DYNAMIC % type, data_format=data_format, input_shapes=shapes)
    sizes = [(3, 5, 7), (3, 6, 7)] if data_format == "channels_first" else [(5, 7, 3), (6, 7, 3)]
    first, second = (keras.Input(shape, batch_size=2) for shape in sizes)
    with pytest.raises(ShapeError) as caught:
        model({"a": first, "b": second})
    assert str(caught.value).startswith(f"layer 'l' ({type}): ") and said in str(caught.value)


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (layers.Eltwise(name="l"), "expected (2, 5, 7, 3); received (2, 6, 7, 3)"),
        (layers.Concat(axis=-1, name="l"), "along axis 3 only; expected (2, 5, 7, None); received (2, 6, 7, None)"),
        (layers.Crop(axes=[1, 2], offset=[0, 0], name="l"), "along axis 1; expected offset + size of at most 5"),
        (layers.Convolution(4, 1, name="l"), "expected (2, 5, 7, 3); received (2, 6, 7, 3)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_layer_by_itself_refuses_tensors_as_they_are(layer: Any, said: str) -> None:
    with pytest.raises(ShapeError) as caught:
        layer([keras.Input(shape, batch_size=2) for shape in ((5, 7, 3), (6, 7, 3))])
    assert str(caught.value).startswith("layer 'l': ") and said in str(caught.value)


def test_errors_hold_plain_shapes_in_the_order_shown() -> None:
    with pytest.raises(ShapeError) as caught:
        keras_caffe.load(net_with("Eltwise", A, TALLER), data_format="channels_last")
    error = caught.value
    assert (error.expected, error.received) == (A, TALLER)
    assert type(error.expected) is tuple and str(pickle.loads(pickle.dumps(error))) == str(error)


def test_what_keras_sees_are_plain_shapes() -> None:
    model = keras_caffe.load(net_with("Eltwise", A, A), data_format="channels_last")
    assert type(model.output.shape) is tuple and model.output.shape == (None, 5, 7, 3)
    assert model.caffe_layers["layer"].compute_output_shape([(2, 5, 7, 3)] * 2) == (2, 5, 7, 3)


def test_a_shown_shape_calculates_as_it_is_stored_and_prints_in_order() -> None:
    stored = Shown((2, 5, 7, 3), (0, 3, 1, 2))
    assert stored == (2, 5, 7, 3) and stored[-1] == 3 and stored[1:3] == (5, 7)
    assert (str(stored), f"{stored}", str([stored])) == ("(2, 3, 5, 7)", "(2, 3, 5, 7)", "[(2, 3, 5, 7)]")
    assert [shown_axis(stored, axis) for axis in (0, 1, 2, -1)] == [0, 2, 3, 1]
    assert shown_axis((2, 5, 7, 3), -1) == 3
    merged = merge_shapes(Shown((None, 5, 7, 3), (0, 3, 1, 2)), stored, "they differ")
    assert merged == stored and str(merged) == "(2, 3, 5, 7)"
    assert all(str(other) == "(2, 3, 5, 7)" for other in (copy.deepcopy(stored), pickle.loads(pickle.dumps(stored))))
