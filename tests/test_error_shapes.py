"""Errors show shapes as their reader knows them: Caffe's order for a file, the data format's for a model's inputs."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import keras
import pytest

import keras_caffe
from keras_caffe import layers
from keras_caffe.errors import ShapeError
from keras_caffe.shapes import Shown, merge_shapes, shown_axis

A = (2, 3, 5, 7)
TALLER = (2, 3, 6, 7)
RANK_3, RANK_5 = (2, 3, 5), (2, 3, 5, 7, 4)


def net(type: str, param: str = "", *bottoms: tuple[int, ...], tops: int = 1) -> str:
    """A net of inputs of these shapes and the layer `l` on them."""
    names = "abcd"[: len(bottoms)]
    inputs = [
        f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ '
        + " ".join(f"dim: {size}" for size in shape)
        + " } } }\n"
        for name, shape in zip(names, bottoms, strict=True)
    ]
    ends = [f'bottom: "{name}"' for name in names] + [f'top: "t{number}"' for number in range(tops)]
    return "".join(inputs) + f'layer {{ name: "l" type: "{type}" {" ".join(ends)} {param} }}'


CONV = "convolution_param { num_output: 4 kernel_size: %d axis: %d }"
LABELS = "expected 70 labels for scores (2, 3, 5, 7); received 2 labels of shape (2,)."
YOLO = """yolov3_detection_output_param {
  num_classes: 2 num_box: 1 mask_group_num: 1 mask: 0 biases: 1 biases: 2 anchors_scale: 32 }"""

# Stored channels last, mostly; sizes that all differ, so that each order looks different.
CASES = [
    (net("Concat", "", A, TALLER), "along axis 1 only; expected (2, None, 5, 7); received (2, None, 6, 7)"),
    (net("Concat", "", A, (2, 4, 5, 7), (2, 4, 6, 7)), "expected (2, None, 5, 7); received (2, None, 6, 7)"),
    (
        net("Concat", "concat_param { axis: 2 }", A, (2, 4, 6, 7)),
        "along axis 2 only; expected (2, 3, None, 7); received (2, 4, None, 7)",
    ),
    (net("Concat", "", A, (2, 3)), "received [(2, 3, 5, 7), (2, 3)]"),
    (net("Crop", "", A, (2, 3, 9, 7)), "beyond its bottom along axis 2; expected offset + size of at most 5"),
    (net("Crop", "crop_param { axis: 1 }", A, (2, 4, 5, 7)), "along axis 1; expected offset + size of at most 3"),
    (net("Crop", "", A, (2, 3)), "expected (2, 3, 5, 7); received (2, 3)"),
    (net("Eltwise", "", A, TALLER), "expected (2, 3, 5, 7); received (2, 3, 6, 7)"),
    (net("Eltwise", "", A, A, TALLER), "expected (2, 3, 5, 7); received (2, 3, 6, 7)"),
    (net("Convolution", CONV % (1, 1), A, TALLER, tops=2), "expected (2, 3, 5, 7); received (2, 3, 6, 7)"),
    (net("Convolution", CONV % (1, 2), A, (2, 4, 5, 7), tops=2), "expected (2, 3, 5, 7); received (2, 4, 5, 7)"),
    (net("Convolution", CONV % (13, 1), A), "received input (5, 7), kernel (13, 13), output (-7, -5)"),
    (net("Deconvolution", CONV % (1, 1), A, TALLER, tops=2), "expected (2, 3, 5, 7); received (2, 3, 6, 7)"),
    (net("Im2col", "convolution_param { kernel_size: 13 }", A), "received input (5, 7)"),
    (net("Axpy", "", (2, 3, 1, 1), A, TALLER), "expected (2, 3, 5, 7); received (2, 3, 6, 7)"),
    (net("Axpy", "", (2, 3, 2, 1), A, A), "received (2, 3, 2, 1)"),
    (net("Axpy", "", (2, 3, 1, 1), RANK_5, RANK_5), "expected at most 4; received (2, 3, 5, 7, 4)"),
    (net("Accuracy", "", A, (2,)), LABELS),
    (net("SoftmaxWithLoss", "", A, (2,)), LABELS),
    (net("InfogainLoss", "", A, (2,), (3, 3)), LABELS),
    (net("MultinomialLogisticLoss", "", A, (2, 4, 1, 1)), "size 1 from axis 1 on; received (2, 4, 1, 1)"),
    (net("ContrastiveLoss", "", A, A, (2,)), "size 1 from axis 2 on; received (2, 3, 5, 7)"),
    (net("SmoothL1Loss", "", A, (2, 3, 7, 5)), "expected (2, 3, 5, 7); received (2, 3, 7, 5)"),
    (net("Interp", "interp_param { height: 4 width: 4 }", RANK_3), "a bottom with 4 axes; received (2, 3, 5)"),
    (net("Interp", "interp_param { pad_beg: -3 pad_end: -3 height: 4 width: 4 }", A), "received (5, 7)"),
    (net("LRN", "", RANK_3), "a bottom with 4 axes; received (2, 3, 5)"),
    (net("Pooling", "pooling_param { kernel_size: 2 }", RANK_5), "a bottom with 4 axes; received (2, 3, 5, 7, 4)"),
    (net("Normalize", "", RANK_5), "2 to 4 axes; received (2, 3, 5, 7, 4)"),
    (net("MVN", "", RANK_5), "at most 4; received (2, 3, 5, 7, 4)"),
    (net("PriorBox", "prior_box_param { min_size: 3 }", A, RANK_3), "bottoms of 4 axes; received (2, 3, 5)"),
    (
        net("Proposal", "proposal_param { feat_stride: 16 ratio: 1 scale: 8 }", A, (2, 4, 5, 7), (1, 3)),
        "expected 2 channels of one image; received (2, 3, 5, 7)",
    ),
    (
        net("ROIPooling", "roi_pooling_param { pooled_h: 2 pooled_w: 2 }", A, (2, 3, 1, 2)),
        "expected (R, 5); received (2, 3, 1, 2)",
    ),
    (net("SPP", "spp_param { pyramid_height: 2 }", RANK_3), "received (2, 3, 5)"),
    (net("SPP", "spp_param { pyramid_height: 4 }", A), "received size (5, 7), kernel [2, 2], pad [2, 1]"),
    (net("Upsample", "upsample_param { scale: 2 }", A, TALLER), "expected (2, 3, 5, 7); received (2, 3, 6, 7)"),
    (
        net("Yolov3DetectionOutput", YOLO, A),
        "its height and width the same; received (2, 3, 5, 7)",
    ),
    (net("ShuffleChannel", "shuffle_channel_param { group: 2 }", RANK_5), "received (2, 3, 5, 7, 4)"),
    (net("Reorg", "reorg_param { stride: 2 }", RANK_3), "expected (N, C, H, W); received (2, 3, 5)"),
    (net("Bias", "bias_param { axis: 1 }", A, (3, 7)), "expected (3, 5); received (3, 7)"),
    (net("Scale", "scale_param { axis: 0 }", A, (2, 3, 7)), "expected (2, 3, 5); received (2, 3, 7)"),
    (net("Reshape", "reshape_param { shape { dim: 2 dim: 4 } }", A), "expected 210 values of bottom (2, 3, 5, 7)"),
    (net("LSTM", "recurrent_param { num_output: 3 }", (4, 2, 3), (4, 3)), "expected (4, 2); received (4, 3)"),
    (net("Tile", "tile_param { axis: 1 tiles: 999999999 }", A), "received (2, 2999999997, 5, 7)"),
]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("text", "said"), CASES, ids=[text.split('type: "')[-1].split('"')[0] for text, _ in CASES])
def test_a_file_is_refused_in_caffes_order(text: str, said: str, data_format: str) -> None:
    with pytest.raises(ShapeError) as caught:
        keras_caffe.load(text, data_format=data_format)
    assert said in str(caught.value)
    assert "layer 'l' (" in str(caught.value)


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
    assert str(caught.value).startswith("layer 'l': ") and said in str(caught.value)


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
        keras_caffe.load(net("Eltwise", "", A, TALLER), data_format="channels_last")
    error = caught.value
    assert (error.expected, error.received) == (A, TALLER)
    assert type(error.expected) is tuple and str(pickle.loads(pickle.dumps(error))) == str(error)


def test_what_keras_sees_are_plain_shapes() -> None:
    model = keras_caffe.load(net("Eltwise", "", A, A), data_format="channels_last")
    assert type(model.output.shape) is tuple and model.output.shape == (None, 5, 7, 3)
    assert model.caffe_layers["l"].compute_output_shape([(2, 5, 7, 3)] * 2) == (2, 5, 7, 3)


def test_a_shown_shape_calculates_as_it_is_stored_and_prints_in_order() -> None:
    stored = Shown((2, 5, 7, 3), (0, 3, 1, 2))
    assert stored == (2, 5, 7, 3) and stored[-1] == 3 and stored[1:3] == (5, 7)
    assert (str(stored), f"{stored}", str([stored])) == ("(2, 3, 5, 7)", "(2, 3, 5, 7)", "[(2, 3, 5, 7)]")
    assert [shown_axis(stored, axis) for axis in (0, 1, 2, -1)] == [0, 2, 3, 1]
    assert shown_axis((2, 5, 7, 3), -1) == 3
    merged = merge_shapes(Shown((None, 5, 7, 3), (0, 3, 1, 2)), stored, "they differ")
    assert merged == stored and str(merged) == "(2, 3, 5, 7)"
    assert all(str(other) == "(2, 3, 5, 7)" for other in (copy.deepcopy(stored), pickle.loads(pickle.dumps(stored))))
