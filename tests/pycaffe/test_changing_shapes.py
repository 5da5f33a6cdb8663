"""Nets whose data come in another size in each pass: the numbers of a net that has seen that size only."""

from __future__ import annotations

import gc
from collections.abc import Sequence

import numpy as np
import pytest

from keras_caffe import pycaffe as caffe
from keras_caffe.errors import ShapeError
from keras_caffe.layers import Flatten
from keras_caffe.layers.source import SourceLayer
from keras_caffe.pycaffe.recent import KEPT
from tests.layers.cases import own_types, stated

pytestmark = pytest.mark.filterwarnings("ignore::keras_caffe.CaffeWarning")

SIZES = [(12, 12), (16, 20), (12, 12)]
PARAM = "weight_filler { type: 'gaussian' std: 0.3 } bias_filler { type: 'gaussian' }"

# The first word of a case is the layer's type; `batch_of` makes what its bottoms hold.
CASES = {
    "AbsVal": "bottom: 'x' top: 'z'",
    "Accuracy": "bottom: 'x' bottom: 'labels' top: 'z'",
    "ArgMax": "bottom: 'x' top: 'z'",
    "ArgMax with an axis": "bottom: 'x' top: 'z' argmax_param { axis: 3 top_k: 2 }",
    "Axpy": "bottom: 'gate' bottom: 'x' bottom: 'y' top: 'z'",
    "BN": "bottom: 'x' top: 'z'",
    "BNLL": "bottom: 'x' top: 'z'",
    "BatchNorm": "bottom: 'x' top: 'z'",
    "Bias": "bottom: 'x' bottom: 'gate' top: 'z' bias_param { axis: 0 }",
    "Clip": "bottom: 'x' top: 'z' clip_param { min: -0.5 max: 0.5 }",
    "Concat": "bottom: 'x' bottom: 'y' top: 'z' concat_param { axis: 2 }",
    "Convolution": (
        f"bottom: 'x' top: 'z' convolution_param {{ num_output: 3 kernel_size: 3 stride: 2 pad: 4 {PARAM} }}"
    ),
    "Convolution in groups": (
        f"bottom: 'x' top: 'z' convolution_param {{ num_output: 4 group: 2 kernel_size: 3 {PARAM} }}"
    ),
    "ConvolutionDepthwise": f"bottom: 'x' top: 'z' convolution_param {{ num_output: 4 kernel_size: 3 {PARAM} }}",
    "Crop": "bottom: 'x' bottom: 'small' top: 'z' crop_param { axis: 2 offset: 2 }",
    "Deconvolution": f"bottom: 'x' top: 'z' convolution_param {{ num_output: 3 kernel_size: 4 stride: 2 {PARAM} }}",
    "DepthwiseConvolution": (
        f"bottom: 'x' top: 'z' convolution_param {{ num_output: 4 group: 4 kernel_size: 3 {PARAM} }}"
    ),
    "Div": "bottom: 'x' bottom: 'target' top: 'z'",
    "Dropout in TEST": "bottom: 'x' top: 'z'",
    "ELU": "bottom: 'x' top: 'z'",
    "Eltwise": "bottom: 'x' bottom: 'y' top: 'z' eltwise_param { operation: PROD }",
    "EuclideanLoss": "bottom: 'x' bottom: 'y' top: 'z'",
    "Exp": "bottom: 'x' top: 'z'",
    "Flatten": "bottom: 'x' top: 'z'",
    "Im2col": "bottom: 'x' top: 'z' convolution_param { kernel_size: 3 stride: 2 pad: 1 }",
    "InnerProduct": f"bottom: 'rois' top: 'z' inner_product_param {{ num_output: 3 {PARAM} }}",
    "Interp": "bottom: 'x' top: 'z' interp_param { zoom_factor: 2 }",
    "L2Norm": "bottom: 'x' top: 'z'",
    "LRN": "bottom: 'x' top: 'z' lrn_param { local_size: 3 alpha: 0.5 }",
    "LRN within channels": "bottom: 'x' top: 'z' lrn_param { local_size: 3 alpha: 0.5 norm_region: WITHIN_CHANNEL }",
    "LSTM": f"bottom: 'frames' bottom: 'goes_on' top: 'z' recurrent_param {{ num_output: 3 {PARAM} }}",
    "Lstm": f"bottom: 'frames' top: 'z' lstm_param {{ num_output: 3 {PARAM} }}",
    "RNN": f"bottom: 'frames' bottom: 'goes_on' top: 'z' recurrent_param {{ num_output: 3 {PARAM} }}",
    "Log": "bottom: 'x' top: 'z' log_param { shift: 9 }",
    "MVN": "bottom: 'x' top: 'z'",
    "MaskPooling": "bottom: 'x' bottom: 'mask' top: 'z'",
    "MaskResize": "bottom: 'x' top: 'z' mask_resize_param { output_height: 3 output_width: 5 }",
    "Maxout": "bottom: 'x' top: 'z' maxout_param { num_output: 2 }",
    "Mish": "bottom: 'x' top: 'z'",
    "Mul": "bottom: 'x' bottom: 'y' top: 'z'",
    "Normalize": "bottom: 'x' top: 'z' norm_param { scale_filler { value: 20 } }",
    "PReLU": "bottom: 'x' top: 'z'",
    "Padding": "bottom: 'x' top: 'z' padding_param { pad_beg: -1 pad_end: -2 }",
    "Permute": "bottom: 'x' top: 'z' permute_param { order: 0 order: 3 order: 1 order: 2 }",
    "Pooling MAX": "bottom: 'x' top: 'z' pooling_param { kernel_size: 3 stride: 2 pad: 1 }",
    "Pooling AVE": "bottom: 'x' top: 'z' pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }",
    "Pooling global": "bottom: 'x' top: 'z' pooling_param { pool: AVE global_pooling: true }",
    "Power": "bottom: 'x' top: 'z' power_param { power: 2 shift: 1 }",
    "ROIAlign": "bottom: 'x' bottom: 'rois' top: 'z' roi_align_param { pooled_h: 2 pooled_w: 2 }",
    "ROIPooling": "bottom: 'x' bottom: 'rois' top: 'z' roi_pooling_param { pooled_h: 2 pooled_w: 2 }",
    "ROIWarping": "bottom: 'x' bottom: 'rois' top: 'z' roi_warping_param { pooled_h: 2 pooled_w: 2 }",
    "DeformablePSROIPooling": "bottom: 'x' bottom: 'rois' top: 'z' "
    "deformable_psroi_pooling_param { output_dim: 1 group_size: 2 spatial_scale: 1 no_trans: true }",
    "PSROIPooling": (
        "bottom: 'x' bottom: 'rois' top: 'z' psroi_pooling_param { output_dim: 1 group_size: 2 spatial_scale: 1 }"
    ),
    "PriorBox": "bottom: 'x' bottom: 'y' top: 'z' prior_box_param { min_size: 4 max_size: 8 aspect_ratio: 2 }",
    "PriorBoxClustered": "bottom: 'x' bottom: 'y' top: 'z' prior_box_param { width: 4 height: 8 }",
    "ReLU": "bottom: 'x' top: 'z'",
    "ReLU6": "bottom: 'x' top: 'z'",
    "Reduction": "bottom: 'x' top: 'z' reduction_param { axis: 2 operation: SUMSQ }",
    "Reorg": "bottom: 'even' top: 'z' reorg_param { stride: 2 }",
    "Reshape": "bottom: 'x' top: 'z' reshape_param { shape { dim: 0 dim: 2 dim: -1 } }",
    "SPP": "bottom: 'x' top: 'z' spp_param { pyramid_height: 2 }",
    "Scale": "bottom: 'x' bottom: 'gate' top: 'z' scale_param { axis: 0 }",
    "ShuffleChannel": "bottom: 'x' top: 'z' shuffle_channel_param { group: 2 }",
    "Sigmoid": "bottom: 'x' top: 'z'",
    "SigmoidCrossEntropyBalanceLoss": "bottom: 'x' bottom: 'target' top: 'z'",
    "SigmoidCrossEntropyLoss": "bottom: 'x' bottom: 'target' top: 'z'",
    "Slice": "bottom: 'even' top: 'z' top: 'w' slice_param { axis: 2 }",
    "SmoothL1Loss": "bottom: 'x' bottom: 'y' top: 'z'",
    "Softmax": "bottom: 'x' top: 'z'",
    "SoftmaxWithLoss": "bottom: 'x' bottom: 'labels' top: 'z'",
    "Swish": "bottom: 'x' top: 'z'",
    "TanH": "bottom: 'x' top: 'z'",
    "Threshold": "bottom: 'x' top: 'z'",
    "Tile": "bottom: 'x' top: 'z' tile_param { axis: 2 tiles: 2 }",
    "Upsample": "bottom: 'x' top: 'z' upsample_param { scale: 2 }",
}
# Caffe forces no gradient to what these read of labels and indices.
LABELLED = {
    "BatchReindex": "bottom: 'x' bottom: 'order' top: 'z'",
    "CenterLoss": "bottom: 'rows' bottom: 'classes' top: 'z' center_loss_param { num_output: 4 }",
    "ContrastiveLoss": "bottom: 'rows' bottom: 'others' bottom: 'alike' top: 'z'",
    "Embed": f"bottom: 'labels' top: 'z' embed_param {{ num_output: 3 input_dim: 4 {PARAM} }}",
    "Filter": "bottom: 'x' bottom: 'order' top: 'z'",
    "HingeLoss": "bottom: 'rows' bottom: 'classes' top: 'z'",
    "InfogainLoss": "bottom: 'x' bottom: 'labels' bottom: 'gains' top: 'z'",
    "LSTMUnit": "bottom: 'cells' bottom: 'gates' bottom: 'on' top: 'z' top: 'w'",
    "MultiStageMeanfield": "bottom: 'x' bottom: 'y' bottom: 'image' top: 'z' multi_stage_meanfield_param { "
    "num_iterations: 2 theta_alpha: 5 theta_beta: 1 theta_gamma: 3 spatial_filter_weight: 1 "
    "bilateral_filter_weight: 1 }",
    "MultiBoxLoss": "bottom: 'places' bottom: 'scores' bottom: 'priors' bottom: 'boxes' top: 'z' "
    "multibox_loss_param { num_classes: 3 }",
    "MultinomialLogisticLoss": "bottom: 'chances' bottom: 'classes' top: 'z'",
    "RegionLoss": "bottom: 'grid' bottom: 'truths' top: 'z' region_loss_param { num_class: 2 num: 2 "
    "biases: 1 biases: 2 biases: 3 biases: 1 }",
    "Yolov3": "bottom: 'grid' bottom: 'truths' top: 'z' yolov3_param { num_class: 2 num: 2 mask: 0 mask: 1 "
    "biases: 1 biases: 2 biases: 3 biases: 1 }",
}
WITHOUT_GRADIENT = {
    "DetectionEvaluate": "bottom: 'found' bottom: 'boxes' top: 'z' detection_evaluate_param { num_classes: 3 }",
    "DetectionOutput": "bottom: 'places' bottom: 'scores' bottom: 'priors' top: 'z' "
    "detection_output_param { num_classes: 3 nms_param { nms_threshold: 0.5 } }",
    "Proposal": "bottom: 'anchors' bottom: 'shifts' bottom: 'info' top: 'z' "
    "proposal_param { ratio: 1 scale: 2 scale: 4 post_nms_topn: 9 min_size: 1 }",
    "Yolov3DetectionOutput": "bottom: 'yolo' top: 'z' yolov3_detection_output_param { num_classes: 2 num_box: 1 "
    "mask_group_num: 1 mask: 0 biases: 10 biases: 14 anchors_scale: 32 confidence_threshold: 0.2 }",
}


class Source:
    """A data layer as FCN's: each pass brings the next batch, and `reshape` gives the tops its shapes."""

    batches: Sequence[dict[str, np.ndarray]] = ()
    setups = 0

    def setup(self, bottom, top) -> None:
        type(self).setups += 1
        self.turn = 0

    def reshape(self, bottom, top) -> None:
        for blob, array in zip(top, self.batches[self.turn].values(), strict=True):
            blob.reshape(*array.shape)

    def forward(self, bottom, top) -> None:
        for blob, array in zip(top, self.batches[self.turn].values(), strict=True):
            blob.data[...] = array
        self.turn = min(self.turn + 1, len(self.batches) - 1)

    def backward(self, top, propagate_down, bottom) -> None:
        pass


def batch_of(size: tuple[int, int]) -> dict[str, np.ndarray]:
    height, width = size
    draw = np.random.default_rng(height * 100 + width)
    x, y = draw.normal(size=(2, 2, 4, height, width)).astype("float32")
    corners = np.sort(draw.integers(0, min(height, width), (height, 2, 2)), axis=1).reshape(height, 4)
    boxes = np.sort(draw.random((height, 2, 2)), axis=1).reshape(height, 4)
    arrays = {
        "x": x,
        "y": y,
        "target": draw.random(x.shape),
        "small": y[:, :, 3:, 2:],
        "mask": y[:, :1],
        "even": draw.normal(size=(2, 4, 2 * height, 2 * width)),
        "labels": draw.integers(0, 4, (2, 1, height, width)),
        "gate": draw.normal(size=(2, 4)),
        "rois": np.concatenate([draw.integers(0, 2, (height, 1)), corners], 1),
        "order": np.array([1, 0]),
        "gains": draw.random((1, 1, 4, 4)),
        "frames": draw.normal(size=(height, 2, 3)),
        "rows": draw.normal(size=(height, 4)),
        "others": draw.normal(size=(height, 4)),
        "chances": draw.random((height, 4)) + 0.1,
        "classes": draw.integers(0, 4, height),
        "alike": draw.integers(0, 2, height),
        "cells": draw.normal(size=(1, height, 3)),
        "gates": draw.normal(size=(1, height, 12)),
        "on": draw.integers(0, 2, (1, height)),
        "places": draw.normal(size=(2, 4 * height)),
        "scores": draw.normal(size=(2, 3 * height)),
        "priors": np.concatenate([boxes, np.full(boxes.shape, 0.1)], 0).reshape(1, 2, -1),
        "boxes": named(boxes[: height // 4], np.zeros((height // 4, 1))),
        "found": named(boxes, draw.random((height, 1)))[..., [0, 1, 7, 3, 4, 5, 6]],
        "anchors": draw.random((1, 4, height, width)),
        "shifts": draw.normal(size=(1, 8, height, width)),
        "info": [[16 * height, 16 * width, 1]],
        "yolo": draw.normal(size=(2, 7, height, height)),
        "grid": draw.normal(size=(2, 14, height // 4, height // 4)),
        "truths": np.concatenate([draw.integers(0, 2, (2, 1, 3, 1)), draw.random((2, 1, 3, 4))], -1),
        "goes_on": np.arange(height)[:, None] * [[1, 1]] % 5 > 0,
        "image": draw.random((2, 3, height, width)),
    }
    return {name: np.asarray(array, "float32") for name, array in arrays.items()}


def named(boxes: np.ndarray, last: np.ndarray) -> np.ndarray:
    """(1, 1, n, 8) of boxes of item 0 with the labels 1 and 2 in turn."""
    number = np.arange(len(boxes))[:, None]
    return np.concatenate([0 * number, 1 + number % 2, number, boxes, last], 1)[None, None]


def net(layers: str, batches: Sequence[dict[str, np.ndarray]], phase: int = caffe.TEST, **more) -> caffe.Net:
    """A net on a source that brings these batches in turn."""
    source = type("Turns", (Source,), {"batches": batches})
    tops = " ".join(f"top: '{name}'" for name in batches[0])
    data = f"layer {{ name: 'src' type: 'Python' {tops} python_param {{ module: 'm' layer: 'Turns' }} }}"
    return caffe.Net(data + layers, phase, python_layers={"m.Turns": source}, **more)


def layers_of(cases: dict[str, str], more: str = "") -> str:
    """The layers of some cases beside each other."""
    return "\n".join(
        f"layer {{ name: '{case}' type: '{case.split()[0]}' {fields} {more} }}".replace("top: '", f"top: '{case} ")
        for case, fields in cases.items()
    )


def passed(net: caffe.Net) -> dict[str, np.ndarray]:
    """All that a pass over a net computes, for diffs of the outputs that depend on their shapes only."""
    net.forward()
    for name in net.outputs:
        blob = net.blobs[name]
        blob.diff[...] = np.random.default_rng(blob.count).normal(size=blob.shape)
    net.clear_param_diffs()
    net.backward()
    found = {f"{name}.data": blob.data.copy() for name, blob in net.blobs.items()}
    found |= {f"{name}.diff": blob.diff.copy() for name, blob in net.blobs.items()}
    return found | {f"{name} {i}": b.diff.copy() for name, blobs in net.params.items() for i, b in enumerate(blobs)}


def assert_as_fresh(layers: str) -> None:
    """A net computes of a second size what a new one does, and of the first size again what it did at first."""
    small, large = (
        {name: array for name, array in batch_of(size).items() if f"bottom: '{name}'" in layers} for size in SIZES[:2]
    )
    changing, fresh = net(layers, [small, large, small]), net(layers, [large])
    for name, blobs in changing.params.items():
        for mine, theirs in zip(fresh.params[name], blobs, strict=True):
            mine.data[...] = theirs.data
    first = passed(changing)
    for want in (passed(fresh), first):
        got = passed(changing)
        assert got.keys() == want.keys()
        for name, array in want.items():
            assert got[name].shape == array.shape, name
            np.testing.assert_allclose(got[name], array, rtol=1e-5, atol=1e-6, err_msg=name)


def test_numbers_of_a_fresh_net() -> None:
    assert_as_fresh("force_backward: true " + layers_of(CASES))


def test_numbers_of_a_fresh_net_for_layers_with_labels() -> None:
    learnable = "x rows others cells gates places scores chances".split()
    scales = "".join(
        f"layer {{ name: '{x}' type: 'Scale' bottom: '{x}' top: '{x}' scale_param {{ num_axes: 0 }} }}"
        for x in learnable
    )
    layers = layers_of(LABELLED, "loss_weight: 1").replace(
        "top: 'LSTMUnit w' loss", "top: 'LSTMUnit w' loss_weight: 1 loss"
    )
    assert_as_fresh(scales + layers + layers_of(WITHOUT_GRADIENT))


def test_a_python_layer_may_shape_its_tops_while_it_runs() -> None:
    """As Fast R-CNN's layers do: 2 rows, 4 rows, other numbers of rows behind."""

    class Rows(Source):
        def reshape(self, bottom, top) -> None:
            top[0].reshape(2, 5)

        def forward(self, bottom, top) -> None:
            self.turn += 1
            top[0].reshape(2 * self.turn, 5)
            top[0].data[...] = np.arange(10 * self.turn).reshape(-1, 5)

    text = """layer { name: 'x' type: 'Input' top: 'x' input_param { shape { dim: 1 } } }
        layer { name: 'rows' type: 'Python' bottom: 'x' top: 'rows' python_param { module: 'm' layer: 'Rows' } }
        layer { name: 'cut' type: 'Slice' bottom: 'rows' top: 'a' top: 'b' slice_param { axis: 0 } }"""
    changing = caffe.Net(text, caffe.TEST, python_layers={"m.Rows": Rows})
    for turn in (1, 2, 3):
        changing.forward()
        np.testing.assert_array_equal(changing.blobs["a"].data, np.arange(5 * turn).reshape(turn, 5))
        np.testing.assert_array_equal(changing.blobs["b"].data, np.arange(5 * turn, 10 * turn).reshape(turn, 5))


def test_a_net_of_layers_in_place_and_in_rows() -> None:
    """FCN's way: convolution, in-place ReLU, pooling, deconvolution, a crop onto the data, a loss for each pixel."""
    text = f"""
        layer {{ name: 'conv' type: 'Convolution' bottom: 'x' top: 'conv'
          convolution_param {{ num_output: 4 kernel_size: 3 pad: 5 {PARAM} }} }}
        layer {{ name: 'relu' type: 'ReLU' bottom: 'conv' top: 'conv' }}
        layer {{ name: 'norm' type: 'LRN' bottom: 'conv' top: 'norm' }}
        layer {{ name: 'pool' type: 'Pooling' bottom: 'norm' top: 'pool'
          pooling_param {{ pool: AVE kernel_size: 2 stride: 2 }} }}
        layer {{ name: 'up' type: 'Deconvolution' bottom: 'pool' top: 'up'
          convolution_param {{ num_output: 4 kernel_size: 4 stride: 2 {PARAM} }} }}
        layer {{ name: 'score' type: 'Crop' bottom: 'up' bottom: 'x' top: 'score' crop_param {{ axis: 2 offset: 3 }} }}
        layer {{ name: 'loss' type: 'SoftmaxWithLoss' bottom: 'score' bottom: 'labels' top: 'loss' }}"""
    assert_as_fresh(text)


def test_states_stay() -> None:
    """Statistics, a carried state and drawn numbers go on when other sizes come in between."""
    text = """
        layer { name: 'bn' type: 'BatchNorm' bottom: 'x' top: 'bn' }
        layer { name: 'drop' type: 'Dropout' bottom: 'y' top: 'drop' }
        layer { name: 'rnn' type: 'RNN' bottom: 'frames' bottom: 'on' top: 'rnn'
          recurrent_param { num_output: 2 weight_filler { type: 'gaussian' std: 0.5 } } }"""
    small, large = (batch_of(size) for size in SIZES[:2])
    batches = [
        {name: a[name] for name in ("x", "y", "frames")} | {"on": np.ones_like(a["goes_on"])}
        for a in (small, large, small)
    ]
    changing = net(text, batches, caffe.TRAIN)
    statistics, masks = [], []
    for _ in batches:
        changing.forward()
        statistics.append(float(changing.params["bn"][2].data[0]))
        masks.append(changing.blobs["drop"].data != 0)
    np.testing.assert_allclose(statistics, [1, 1.999, 2.997001])
    assert (masks[0] != masks[2]).any()
    frames = np.concatenate([arrays["frames"] for arrays in batches])
    at_once = net(text, [{**batches[0], "frames": frames, "on": np.ones((len(frames), 2), "float32")}])
    for mine, theirs in zip(at_once.params["rnn"], changing.params["rnn"], strict=True):
        mine.data[...] = theirs.data
    at_once.forward()
    last = changing.blobs["rnn"].data
    np.testing.assert_allclose(last, at_once.blobs["rnn"].data[-len(last) :], rtol=1e-5)


def test_the_last_mask_counts_in_backward() -> None:
    text = "force_backward: true layer { name: 'drop' type: 'Dropout' bottom: 'x' top: 'drop' }"
    changing = net(text, [{"x": np.ones((4, size), "float32")} for size in (30, 50, 30)], caffe.TRAIN)
    for _ in range(3):
        changing.forward()
        changing.blobs["drop"].diff[...] = 1
        changing.backward()
        np.testing.assert_array_equal(changing.blobs["x"].diff, changing.blobs["drop"].data)


def test_a_python_layer_is_set_up_once() -> None:
    text = """
        layer { name: 'c' type: 'Python' bottom: 'x' top: 'c' python_param { module: 'm' layer: 'Count' } }"""

    class Count(Source):
        def reshape(self, bottom, top) -> None:
            top[0].reshape(1)

        def forward(self, bottom, top) -> None:
            self.turn += 1
            top[0].data[...] = self.turn

    Turns = type("Turns", (Source,), {"batches": [{"x": batch_of(size)["x"]} for size in SIZES]})
    data = "layer { name: 'x' type: 'Python' top: 'x' python_param { module: 'm' layer: 'Turns' } }"
    changing = caffe.Net(data + text, caffe.TEST, python_layers={"m.Turns": Turns, "m.Count": Count})
    assert (Turns.setups, Count.setups) == (1, 1)
    assert [float(changing.forward()["c"][0]) for _ in SIZES] == [1, 2, 3]
    assert (Turns.setups, Count.setups) == (1, 1)


def test_reshape_by_hand() -> None:
    """`net.blobs[...].reshape` with and without `net.reshape()`, and back to a size that was there."""
    text = """force_backward: true
        layer { name: 'x' type: 'Input' top: 'x' top: 'small'
          input_param { shape { dim: 2 dim: 4 dim: 12 dim: 12 } shape { dim: 2 dim: 4 dim: 9 dim: 10 } } }
        layer { name: 'crop' type: 'Crop' bottom: 'x' bottom: 'small' top: 'crop' crop_param { axis: 2 } }
        layer { name: 'prior' type: 'PriorBox' bottom: 'crop' bottom: 'x' top: 'prior' prior_box_param { min_size: 2 } }
        layer { name: 'flat' type: 'Flatten' bottom: 'crop' top: 'flat' }"""
    changing = caffe.Net(text, caffe.TEST)
    for size in SIZES:
        arrays = batch_of(size)
        for name in changing.inputs:
            changing.blobs[name].reshape(*arrays[name].shape)
        if size == SIZES[1]:
            changing.reshape()
            assert changing.blobs["crop"].shape == arrays["small"].shape
            assert changing.blobs["flat"].data.shape == (2, arrays["small"][0].size)
        out = changing.forward(**{name: arrays[name] for name in changing.inputs})
        height, width = arrays["small"].shape[2:]
        np.testing.assert_array_equal(out["flat"], arrays["x"][:, :, :height, :width].reshape(2, -1))
        assert out["prior"].shape == (1, 2, 4 * height * width)


def test_layers_that_do_not_run_are_not_asked() -> None:
    text = """force_backward: true
        layer { name: 'x' type: 'Input' top: 'x' input_param { shape { dim: 1 dim: 1 dim: 4 dim: 4 } } }
        layer { name: 'twice' type: 'Power' bottom: 'x' top: 'twice' power_param { scale: 2 } }
        layer { name: 'ip' type: 'InnerProduct' bottom: 'twice' top: 'ip' inner_product_param { num_output: 2 } }"""
    changing = caffe.Net(text, caffe.TEST)
    changing.blobs["x"].reshape(1, 1, 8, 6)
    changing.blobs["x"].data[...] = 1
    assert changing.forward(end="twice")["twice"].shape == (1, 1, 8, 6)
    changing.blobs["twice"].diff[...] = 3
    assert (changing.backward(start="twice")["x"] == 6).all()
    with pytest.raises(ShapeError, match=r"'ip' \(InnerProduct\): the new input shapes would change .* parameters"):
        changing.forward()
    changing.blobs["x"].reshape(1, 1, 4, 4)
    assert changing.forward()["ip"].shape == (1, 2)


def test_a_blob_in_the_middle_may_be_reshaped() -> None:
    text = """layer { name: 'x' type: 'Input' top: 'x' input_param { shape { dim: 2 dim: 3 } } }
        layer { name: 'twice' type: 'Power' bottom: 'x' top: 'twice' power_param { scale: 2 } }
        layer { name: 'flat' type: 'Reduction' bottom: 'twice' top: 'sum' }"""
    changing = caffe.Net(text, caffe.TEST)
    changing.blobs["twice"].reshape(5, 7)
    changing.blobs["twice"].data[...] = 1
    assert changing.forward(start="flat")["sum"] == 35
    assert changing.forward(x=np.ones((2, 3)))["sum"] == 12


def test_caches_are_bounded() -> None:
    changing = net(
        "layer { name: 'flat' type: 'Flatten' bottom: 'x' top: 'flat' }",
        [{"x": np.ones((1, n), "float32")} for n in range(1, 60)],
    )
    for n in range(1, 60):
        changing.forward()
        assert changing.blobs["flat"].shape == (1, n)
    gc.collect()
    layers = [item for item in gc.get_objects() if isinstance(item, Flatten)]
    assert len(layers) <= KEPT + 1


ELSEWHERE = {
    **{type: "random nets, in two sizes" for parts in stated("PARTS") for type in {*parts} - {"Mish", "Padding"}},
    "ContinuationIndicator": "no bottom",
    "HDF5Output": "no top",
    "Parameter": "no bottom",
    "Python": "the other tests",
    "Silence": "no top",
    "Split": "in each of the nets",
}


def test_every_type_is_tried() -> None:
    tried = {case.split()[0] for case in [*CASES, *LABELLED, *WITHOUT_GRADIENT]}
    computing = {name for name, cls in own_types().items() if not issubclass(cls, SourceLayer)}
    assert tried.isdisjoint(ELSEWHERE)
    assert tried | set(ELSEWHERE) == computing


def test_shared_parameters_stay_shared() -> None:
    """By name in one net, once in another shape; their gradients add up."""
    conv = "convolution_param { num_output: 4 kernel_size: 3 bias_term: false weight_filler { type: 'gaussian' } }"
    text = f"""force_backward: true
        layer {{ name: 'a' type: 'Convolution' bottom: 'x' top: 'a' param {{ name: 'w' }} {conv} }}
        layer {{ name: 'b' type: 'Convolution' bottom: 'y' top: 'b' param {{ name: 'w' }} {conv} }}
        layer {{ name: 'c' type: 'InnerProduct' bottom: 'gate' top: 'c'
          param {{ name: 'w' share_mode: PERMISSIVE }} inner_product_param {{ num_output: 36 bias_term: false }} }}"""
    assert_as_fresh(text)
    changing = net(text, [{name: batch_of(size)[name] for name in ("x", "y", "gate")} for size in SIZES])
    assert changing.params["a"][0].data.shape == (4, 4, 3, 3)
    changing.forward()
    changing.params["a"][0].data[...] = 0
    changing.forward()
    assert not any(changing.blobs[name].data.any() for name in "abc")


def test_parameters_that_another_net_shares() -> None:
    fields = f"convolution_param {{ num_output: 3 kernel_size: 3 {PARAM} }}"
    text = f"layer {{ name: 'c' type: 'Convolution' bottom: 'x' top: 'c' {fields} }}"
    changing, other = (net(text, [{"x": batch_of(size)["x"]} for size in SIZES]) for _ in range(2))
    changing.forward()
    other.share_with(changing)
    for _ in SIZES[1:]:
        changing.params["c"][0].data[...] += 1
        changing.forward()
    for _ in SIZES:
        other.forward()
    np.testing.assert_allclose(other.blobs["c"].data, changing.blobs["c"].data, rtol=1e-6)


def test_loss_weights_fill_the_new_diffs() -> None:
    text = "layer { name: 's' type: 'Scale' bottom: 'x' top: 's' loss_weight: 3 }"
    changing = net(text, [{"x": batch_of(size)["x"]} for size in SIZES])
    for size in SIZES:
        changing.forward()
        changing.clear_param_diffs()
        changing.backward()
        np.testing.assert_allclose(changing.params["s"][0].diff, 3 * batch_of(size)["x"].sum((0, 2, 3)), rtol=1e-4)


def test_memory_is_shared_only_at_one_size() -> None:
    """The top of a Split or Flatten that has not run yet keeps its size, and has memory of its own."""
    text = """layer { name: 'x' type: 'Input' top: 'x' input_param { shape { dim: 1 dim: 2 } } }
        layer { name: 'flat' type: 'Flatten' bottom: 'x' top: 'flat' }
        layer { name: 'y' type: 'Power' bottom: 'x' top: 'y' }"""
    changing = caffe.Net(text, caffe.TEST)
    changing.forward(x=np.ones((1, 2)))
    changing.blobs["x"].reshape(2, 3)
    assert {blob.data.shape for blob in changing.blobs.values()} == {(1, 2), (2, 3)}
    changing.blobs["x"].data[...] = 5
    changing.forward()
    changing.blobs["x"].data[0] = 7
    assert changing.blobs["flat"].data.tolist() == [[7, 7, 7], [5, 5, 5]]


def test_callbacks_may_bring_other_sizes() -> None:
    text = """layer { name: 'x' type: 'Input' top: 'x' input_param { shape { dim: 1 dim: 2 } } }
        layer { name: 'flat' type: 'Reshape' bottom: 'x' top: 'flat' reshape_param { shape { dim: -1 } } }"""
    changing, sizes = caffe.Net(text, caffe.TEST), []

    def bring(layer: int) -> None:
        if layer == 0:
            changing.blobs["x"].reshape(2, len(sizes) + 1)
            changing.blobs["x"].data[...] = len(sizes)
        sizes.append(layer)

    changing.before_forward(bring)
    assert changing.forward()["flat"].tolist() == [0, 0]
    assert changing.forward()["flat"].tolist() == [2] * 6


def test_reshape_of_a_python_layer_is_called_as_often_as_in_caffe() -> None:
    """Once at set-up, once in each pass: a class may take its next picture there."""

    class Next(Source):
        def setup(self, bottom, top) -> None:
            self.asked = 0

        def reshape(self, bottom, top) -> None:
            self.asked += 1
            top[0].reshape(1, self.asked)

        def forward(self, bottom, top) -> None:
            top[0].data[...] = self.asked

    text = """layer { name: 'x' type: 'Python' top: 'x' python_param { module: 'm' layer: 'Next' } }
        layer { name: 'y' type: 'Power' bottom: 'x' top: 'y' }"""
    changing = caffe.Net(text, caffe.TEST, python_layers={"m.Next": Next})
    assert changing.blobs["y"].shape == (1, 1)
    assert changing.forward()["y"].tolist() == [[2, 2]]
    assert changing.forward()["y"].tolist() == [[3, 3, 3]]
    changing.reshape()
    assert changing.blobs["y"].shape == (1, 4)
