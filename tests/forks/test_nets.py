"""Small nets as the forks' users write them: each loads, runs forward and backward, and exports or says why not."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf

import keras_caffe
from keras_caffe.errors import CaffeWarning, ExportError
from tests.nets import input_layer, layer

XAVIER = "weight_filler { type: 'xavier' }"


def conv(name: str, bottom: str, outputs: int, kernel: int = 3, more: str = "", kind: str = "Convolution") -> str:
    pad = f"pad: {kernel // 2}" if "pad" not in more else ""
    param = f"convolution_param {{ num_output: {outputs} kernel_size: {kernel} {pad} {XAVIER} {more} }}"
    return layer(name, kind, bottom, name, param)


def relu(blob: str, kind: str = "ReLU") -> str:
    return layer(f"{kind}_{blob}", kind, blob, blob)


def pool(name: str, bottom: str, more: str = "kernel_size: 2 stride: 2", tops: str = "") -> str:
    return layer(name, "Pooling", bottom, tops or name, f"pooling_param {{ pool: MAX {more} }}")


def fc(name: str, bottom: str, outputs: int) -> str:
    return layer(name, "InnerProduct", bottom, name, f"inner_product_param {{ num_output: {outputs} {XAVIER} }}")


X = input_layer("x", 1, 3, 16, 16)
ROIS = input_layer("rois", 4, 5)
FLOWNET = (
    input_layer("a", 1, 3, 32, 32)
    + input_layer("b", 1, 3, 32, 32)
    + layer("aug", "DataAugmentation", "a", "a1", "augmentation_param { crop_width: 32 crop_height: 32 }")
    + layer("mean", "Eltwise", "a1 b", "d", "eltwise_param { operation: SUM coeff: 1 coeff: -1 }")
    + layer("cat", "Concat", "a1 b", "ab")
    + conv("conv1", "ab", 4, 7, "stride: 2")
    + relu("conv1")
    + conv("conv2", "conv1", 6, 5, "stride: 2")
    + relu("conv2")
    + conv("flow2", "conv2", 2)
    + conv("up", "flow2", 2, 4, "stride: 2 pad: 1", "Deconvolution")
    + layer(
        "corr", "Correlation", "conv2 conv2", "corr", "correlation_param { pad: 2 kernel_size: 1 max_displacement: 2 }"
    )
    + layer("resample", "Resample", "flow2", "flow", "resample_param { width: 32 height: 32 type: LINEAR }")
    + layer("warp", "FlowWarp", "b flow", "warped")
    + layer("diff", "Eltwise", "a1 warped", "diff", "eltwise_param { coeff: 1 coeff: -1 }")
    + layer("norm", "ChannelNorm", "diff", "norm")
)
PAIR = input_layer("a", 1, 3, 32, 32) + input_layer("b", 1, 3, 32, 32)
LEAKY = "relu_param { negative_slope: 0.1 }"


def leaky(blob: str) -> str:
    return layer(f"relu_{blob}", "ReLU", blob, blob, LEAKY)


def shared(name: str, bottom: str, top: str, outputs: int, kernel: int) -> str:
    """A convolution of FlowNet2-C, whose weights both images share."""
    names = f"param {{ name: '{name}_w' }} param {{ name: '{name}_b' }}"
    param = f"num_output: {outputs} kernel_size: {kernel} pad: {kernel // 2} stride: 2 {XAVIER}"
    return layer(top, "Convolution", bottom, top, f"{names} convolution_param {{ {param} }}") + leaky(top)


def refined(flow: str, top: str, skip: str) -> str:
    """A step of the decoder: the flow and the features at twice the size, beside those of the encoder."""
    up = conv(f"up_{flow}", flow, 2, 4, "stride: 2 pad: 1", "Deconvolution")
    wide = conv(f"deconv_{flow}", skip, 3, 4, "stride: 2 pad: 1", "Deconvolution") + leaky(f"deconv_{flow}")
    return (
        up + wide + layer(f"cat_{top}", "Concat", f"deconv_{flow} up_{flow}", f"cat_{top}") + conv(top, f"cat_{top}", 2)
    )


AT_FULL_SIZE = layer("resample", "Resample", "flow1", "flow", "resample_param { width: 32 height: 32 type: LINEAR }")
TRUTH = (
    input_layer("truth", 1, 2, 32, 32)
    + layer("small", "Downsample", "truth flow1", "small")
    + layer("loss", "L1Loss", "flow1 small", "loss", "l1_loss_param { l2_per_location: true } loss_weight: 0.3")
)
FLOWNET_C = (
    PAIR
    + shared("conv1", "a", "conv1a", 4, 7)
    + shared("conv1", "b", "conv1b", 4, 7)
    + shared("conv2", "conv1a", "conv2a", 6, 5)
    + shared("conv2", "conv1b", "conv2b", 6, 5)
    + layer(
        *("corr", "Correlation", "conv2a conv2b", "corr"),
        "correlation_param { pad: 4 kernel_size: 1 max_displacement: 4 stride_1: 1 stride_2: 2 }",
    )
    + leaky("corr")
    + conv("redir", "conv2a", 3, 1)
    + leaky("redir")
    + layer("blob20", "Concat", "redir corr", "blob20")
    + conv("conv3", "blob20", 6)
    + leaky("conv3")
    + conv("flow2", "conv3", 2)
    + refined("flow2", "flow1", "conv3")
)
FLOWNET_SD = (
    PAIR
    + layer("cat", "Concat", "a b", "ab")
    + conv("conv0", "ab", 4)
    + leaky("conv0")
    + conv("conv1", "conv0", 4, more="stride: 2")
    + leaky("conv1")
    + conv("conv1_1", "conv1", 6)
    + leaky("conv1_1")
    + conv("conv2", "conv1_1", 6, more="stride: 2")
    + leaky("conv2")
    + conv("flow2", "conv2", 2)
    + refined("flow2", "flow1", "conv2")
)
C3D = (
    input_layer("x", 1, 3, 4, 8, 8)
    + layer(
        *("c1", "Convolution3D", "x", "c1"),
        "convolution3d_param { num_output: 2 kernel_size: 3 kernel_depth: 3 pad: 1 temporal_pad: 1 " + XAVIER + " }",
    )
    + relu("c1")
    + layer(
        "p1", "Pooling3D", "c1", "p1", "pooling3d_param { kernel_size: 2 kernel_depth: 2 stride: 2 temporal_stride: 2 }"
    )
    + fc("fc", "p1", 3)
    + layer("prob", "Softmax", "fc", "prob")
)
RFCN = (
    X
    + ROIS
    + conv("c", "x", 4)
    + relu("c")
    + conv("cls", "c", 3 * 4, 1)
    + conv("box", "c", 8 * 4, 1)
    + layer(
        "ps_cls",
        "PSROIPooling",
        "cls rois",
        "ps_cls",
        "psroi_pooling_param { spatial_scale: 1 output_dim: 3 group_size: 2 }",
    )
    + layer(
        "ps_box",
        "PSROIPooling",
        "box rois",
        "ps_box",
        "psroi_pooling_param { spatial_scale: 1 output_dim: 8 group_size: 2 }",
    )
    + layer("score", "Pooling", "ps_cls", "score", "pooling_param { pool: AVE kernel_size: 2 stride: 2 }")
    + layer("pred", "Pooling", "ps_box", "pred", "pooling_param { pool: AVE kernel_size: 2 stride: 2 }")
)
RFCN_TEST = RFCN + layer("prob", "Softmax", "score", "prob")
RFCN_TRAIN = (
    RFCN
    + "".join(input_layer(*one) for one in (("labels", 4, 1, 1, 1), ("targets", 4, 8, 1, 1), ("inside", 4, 8, 1, 1)))
    + layer(
        "per_roi", "SoftmaxWithLossOHEM", "score labels", "t0 t1 l_cls", "loss_weight: 0 loss_weight: 0 loss_weight: 0"
    )
    + layer("per_box", "SmoothL1LossOHEM", "pred targets inside", "t2 l_box", "loss_weight: 0 loss_weight: 0")
    + layer("sum", "Eltwise", "l_cls l_box", "l")
    + layer(
        "ohem",
        "BoxAnnotatorOHEM",
        "rois l labels inside",
        "picked weights",
        "propagate_down: false " * 4 + "box_annotator_ohem_param { roi_per_img: 2 ignore_label: -1 }",
    )
    + layer("silence", "Silence", "t0 t1 t2", "")
    + layer(
        "loss",
        "SoftmaxWithLoss",
        "score picked",
        "loss",
        "loss_param { ignore_label: -1 } propagate_down: true propagate_down: false",
    )
    + layer(
        "loss_box",
        "SmoothL1LossOHEM",
        "pred targets weights",
        "loss_box",
        "loss_weight: 1 loss_param { normalization: PRE_FIXED pre_fixed_normalizer: 2 } propagate_down: true "
        "propagate_down: false propagate_down: false",
    )
)
HED = (
    X
    + conv("c1", "x", 4, 3, "pad: 5")
    + relu("c1")
    + conv("side1", "c1", 1, 1)
    + pool("p1", "c1")
    + conv("c2", "p1", 4)
    + conv("side2", "c2", 1, 1)
    + conv("up2", "side2", 1, 4, "stride: 2 pad: 0", "Deconvolution")
    + layer("crop1", "Crop", "side1 x", "s1")
    + layer("crop2", "Crop", "up2 x", "s2")
    + layer("fuse", "Concat", "s1 s2", "f")
    + conv("out", "f", 1, 1)
    + layer("sigmoid", "Sigmoid", "out", "fused")
)
DEEPLAB = (
    X
    + conv("c1", "x", 4)
    + relu("c1")
    + pool("p1", "c1", "kernel_size: 3 stride: 1 pad: 1")
    + layer(
        "fc6",
        "Convolution",
        "p1",
        "fc6",
        f"convolution_param {{ num_output: 4 kernel_size: 3 pad: 12 hole: 12 {XAVIER} }}",
    )
    + relu("fc6")
    + conv("fc8", "fc6", 3, 1)
    + layer("interp", "Interp", "fc8", "out", "interp_param { zoom_factor: 2 }")
)
CRNN = (
    input_layer("x", 1, 1, 8, 16)
    + conv("c1", "x", 4)
    + pool("p1", "c1", "kernel_h: 8 kernel_w: 2 stride_h: 8 stride_w: 2")
    + layer("t", "Transpose", "p1", "t", "transpose_param { dim: 3 dim: 2 dim: 0 dim: 1 }")
    + layer("r", "Reshape", "t", "r", "reshape_param { shape { dim: 0 dim: 1 dim: -1 } }")
    + layer("l1", "Lstm", "r", "l1", f"lstm_param {{ num_output: 3 clipping_threshold: 5 {XAVIER} }}")
    + layer("rev", "Reverse", "r", "rev", "reverse_param { axis: 0 }")
    + layer("l2", "Lstm", "rev", "l2", f"lstm_param {{ num_output: 3 {XAVIER} }}")
    + layer("back", "Reverse", "l2", "back", "reverse_param { axis: 0 }")
    + layer("cat", "Concat", "l1 back", "h", "concat_param { axis: 2 }")
    + layer("fc", "InnerProduct", "h", "fc", f"inner_product_param {{ num_output: 5 axis: 2 {XAVIER} }}")
)
CRNN_TEST = CRNN + layer("decode", "CTCGreedyDecoder", "fc", "text", "ctc_decoder_param { blank_index: 4 }")
CRNN_TRAIN = (
    CRNN
    + input_layer("labels", 1, 4)
    + layer("ctc", "WarpCTCLoss", "fc labels", "loss", "ctc_loss_param { blank_index: 4 }")
)
SPHEREFACE = (
    input_layer("x", 2, 3, 16, 16)
    + input_layer("labels", 2)
    + conv("c1", "x", 4, 3, "stride: 2")
    + layer("p", "PReLU", "c1", "c1")
    + conv("c2", "c1", 4)
    + layer("p2", "PReLU", "c2", "c2")
    + layer("res", "Eltwise", "c1 c2", "res")
    + fc("fc5", "res", 6)
    + layer(
        "margin",
        "MarginInnerProduct",
        "fc5 labels",
        "fc6 lambda",
        f"margin_inner_product_param {{ num_output: 4 type: QUADRUPLE {XAVIER} base: 1000 gamma: 0.12 power: 1 "
        f"lambda_min: 5 }}",
    )
    + layer("loss", "SoftmaxWithLoss", "fc6 labels", "loss")
)
YOLO2 = (
    X
    + conv("c1", "x", 4)
    + layer("bn", "BatchNorm", "c1", "c1")
    + layer("scale", "Scale", "c1", "c1", "scale_param { bias_term: true filler { value: 0.001 } }")
    + layer("leaky", "ReLU", "c1", "c1", "relu_param { negative_slope: 0.1 }")
    + layer("reorg", "Reorg", "c1", "reorg", "reorg_param { stride: 2 }")
    + conv("out", "reorg", 2 * 7, 1)
    + layer(
        "det",
        "YoloDetectionOutput",
        "out",
        "det",
        "yolo_detection_output_param { num_classes: 2 num_box: 2 coords: 4 biases: 1 biases: 1 biases: 2 biases: 3 }",
    )
)
YOLO3 = (
    X
    + conv("c1", "x", 4, 3, "stride: 2")
    + conv("big", "c1", 7, 1)
    + pool("p", "c1")
    + conv("small", "p", 7, 1)
    + layer("up", "Upsample", "p", "up", "upsample_param { scale: 2 }")
    + layer(
        "det",
        "Yolov3DetectionOutput",
        "small big",
        "det",
        "yolov3_detection_output_param { num_classes: 2 num_box: 1 mask_group_num: 2 mask: 1 mask: 0 biases: 4 "
        "biases: 4 biases: 8 biases: 8 anchors_scale: 4 anchors_scale: 2 }",
    )
)
REFINES = (
    "propagate_down: [true, true, false, false{}] multibox_loss_param {{ num_classes: {} code_type: CENTER_SIZE "
    "mining_type: MAX_NEGATIVE objectness_score: 0.01 }}"
)
REFINEDET = (
    X
    + conv("c1", "x", 4, 3, "stride: 4")
    + layer(
        "norm",
        "Normalize",
        "c1",
        "n",
        "norm_param { across_spatial: false scale_filler { value: 20 } channel_shared: false }",
    )
    + conv("arm_loc", "n", 4)
    + conv("arm_conf", "n", 2)
    + conv("odm_loc", "n", 4)
    + conv("odm_conf", "n", 3)
    + "".join(
        layer(f"{name}_p", "Permute", name, f"{name}_p", "permute_param { order: 0 order: 2 order: 3 order: 1 }")
        + layer(f"{name}_f", "Flatten", f"{name}_p", f"{name}_f")
        for name in ("arm_loc", "arm_conf", "odm_loc", "odm_conf")
    )
    + layer(
        "prior",
        "PriorBox",
        "n x",
        "prior",
        "prior_box_param { min_size: 4 step: 4 variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 }",
    )
    + layer("odm_r", "Reshape", "odm_conf_f", "odm_r", "reshape_param { shape { dim: 0 dim: -1 dim: 3 } }")
    + layer("odm_s", "Softmax", "odm_r", "odm_s", "softmax_param { axis: 2 }")
    + layer("odm_sf", "Flatten", "odm_s", "odm_sf")
    + layer("arm_r", "Reshape", "arm_conf_f", "arm_r", "reshape_param { shape { dim: 0 dim: -1 dim: 2 } }")
    + layer("arm_s", "Softmax", "arm_r", "arm_s", "softmax_param { axis: 2 }")
    + layer("arm_sf", "Flatten", "arm_s", "arm_sf")
    + layer(
        "det",
        "DetectionOutput",
        "odm_loc_f odm_sf prior arm_sf arm_loc_f",
        "det",
        "detection_output_param { num_classes: 3 nms_param { nms_threshold: 0.45 top_k: 10 } code_type: "
        "CENTER_SIZE keep_top_k: 5 confidence_threshold: 0.01 objectness_score: 0.01 }",
    )
)
REFINEDET_TRAIN = (
    REFINEDET[: REFINEDET.index('layer { name: "det"')]
    + 'layer { name: "boxes" type: "Input" top: "boxes" input_param { shape { dim: 1 dim: 1 dim: 2 dim: 8 } } }'
    + layer("arm", "MultiBoxLoss", "arm_loc_f arm_conf_f prior boxes", "arm", REFINES.format("", 2))
    + layer(
        "odm",
        "MultiBoxLoss",
        "odm_loc_f odm_conf_f prior boxes arm_sf arm_loc_f",
        "odm",
        REFINES.format(", false, false", 3),
    )
)
SEGNET = (
    X
    + conv("c1", "x", 4)
    + layer(
        "bn1",
        "BN",
        "c1",
        "c1",
        "bn_param { bn_mode: INFERENCE scale_filler { value: 1 } shift_filler { value: 0.001 } }",
    )
    + relu("c1")
    + pool("p1", "c1", tops="p1 mask")
    + layer("up", "Upsample", "p1 mask", "up", "upsample_param { scale: 2 upsample_w: 16 upsample_h: 16 }")
    + conv("out", "up", 3)
)
ENET = (
    X
    + conv("c1", "x", 4, 3, "stride: 2")
    + layer("bn", "BN", "c1", "c1", "bn_param { bn_mode: INFERENCE scale_filler { value: 1 } }")
    + layer("prelu", "PReLU", "c1", "c1")
    + layer("p", "Pooling", "c1", "p mask", "pooling_param { kernel_size: 2 stride: 2 }")
    + conv("asym", "p", 4, 1)
    + layer("drop", "Dropout", "asym", "asym", "dropout_param { dropout_ratio: 0.1 }")
    + layer("up", "Upsample", "asym mask", "up", "upsample_param { scale: 2 }")
    + conv("full", "up", 3, 2, "stride: 2 pad: 0", "Deconvolution")
)
OPENPOSE = (
    X
    + conv("c1", "x", 4)
    + relu("c1")
    + pool("p1", "c1")
    + conv("L1", "p1", 4)
    + conv("L2", "p1", 3)
    + layer("stage2", "Concat", "L1 L2 p1", "stage2", "concat_param { axis: 1 }")
    + conv("M1", "stage2", 4, 7)
    + conv("M2", "stage2", 3, 7)
    + layer("out", "Concat", "M2 M1", "net_output", "concat_param { axis: 1 }")
)
PVANET = (
    X
    + input_layer("im_info", 1, 6)
    + conv("c1", "x", 4, 3, "stride: 4")
    + layer("neg", "Power", "c1", "neg", "power_param { power: 1 scale: -1 }")
    + layer("crelu", "Concat", "c1 neg", "crelu")
    + layer("scale", "Scale", "crelu", "crelu", "scale_param { bias_term: true }")
    + relu("crelu")
    + conv("score", "crelu", 2, 1)
    + conv("deltas", "crelu", 4, 1)
    + layer("r", "Reshape", "score", "r", "reshape_param { shape { dim: 0 dim: 2 dim: -1 dim: 0 } }")
    + layer("s", "Softmax", "r", "s")
    + layer("sr", "Reshape", "s", "sr", "reshape_param { shape { dim: 0 dim: 2 dim: -1 dim: 0 } }")
    + layer(
        "proposal",
        "Proposal",
        "sr deltas im_info",
        "rois",
        "proposal_param { feat_stride: 4 base_size: 4 min_size: 1 ratio: 1 scale: 2 pre_nms_topn: 10 "
        "post_nms_topn: 4 nms_thresh: 0.7 }",
    )
    + layer(
        "pool", "ROIPooling", "crelu rois", "pool", "roi_pooling_param { pooled_w: 2 pooled_h: 2 spatial_scale: 0.25 }"
    )
    + fc("fc", "pool", 3)
)


class Net(NamedTuple):
    text: str
    fork: str
    phase: str = "TEST"
    refused: str = ""  # why it is not exported to ONNX, as the error says


NETS = {
    "FlowNet2-S": Net(FLOWNET, "bvlc"),
    "FlowNet2-C": Net(FLOWNET_C + AT_FULL_SIZE, "bvlc"),
    "FlowNet2-C train": Net(FLOWNET_C + TRUTH, "bvlc", "TRAIN"),
    "FlowNet2-SD": Net(FLOWNET_SD + AT_FULL_SIZE, "bvlc"),
    "FlowNet2-SD train": Net(FLOWNET_SD + TRUTH, "bvlc", "TRAIN"),
    "C3D": Net(C3D, "c3d"),
    "R-FCN test": Net(RFCN_TEST, "rfcn"),
    "R-FCN train": Net(RFCN_TRAIN, "rfcn", "TRAIN"),
    "HED": Net(HED, "fcn"),
    "DeepLab-LargeFOV": Net(DEEPLAB, "deeplab"),
    "CRNN test": Net(CRNN_TEST, "bvlc"),
    "CRNN train": Net(CRNN_TRAIN, "bvlc", "TRAIN"),
    "SphereFace-20": Net(SPHEREFACE, "bvlc", "TRAIN", "'margin' .MarginInnerProduct"),
    "YOLOv2": Net(YOLO2, "bvlc"),
    "YOLOv3": Net(YOLO3, "bvlc"),
    "RefineDet": Net(REFINEDET, "refinedet"),
    "RefineDet train": Net(REFINEDET_TRAIN, "refinedet", "TRAIN"),
    "SegNet": Net(SEGNET, "segnet"),
    "ENet": Net(ENET, "segnet"),
    "OpenPose": Net(OPENPOSE, "bvlc"),
    "PVANet": Net(PVANET, "rcnn"),
}


def values(model: Any) -> dict[str, np.ndarray]:
    """Pixels; for rois, labels and sizes what they may be."""
    random = np.random.default_rng(0)
    rois = [[0, 1, 1, 9, 9], [0, 2, 0, 12, 8], [0, 0, 0, 15, 15], [0, 4, 4, 8, 8]]
    given = {"rois": rois, "im_info": [[16, 16, 1, 1, 1, 1]]}
    fed = {}
    of_rois = any(tensor.name == "rois" for tensor in model.inputs)
    for tensor in model.inputs:
        name = tensor.name
        open_size = len(rois) if of_rois and name not in ("x", "im_info") else 1
        shape = tuple(size or open_size for size in tensor.shape)
        fed[name] = np.asarray(given.get(name, random.normal(size=shape)), "float32").reshape(shape)
        if name == "boxes":
            fed[name] = np.float32([[0, 1, 0, 0.1, 0.1, 0.5, 0.6, 0], [0, 2, 0, 0.4, 0.3, 0.9, 0.8, 0]]).reshape(shape)
        if name.startswith("label"):
            fed[name] = (np.arange(fed[name].size) % 3).reshape(shape).astype("float32")
    return fed


@pytest.fixture(scope="module", params=NETS)
def net(request: pytest.FixtureRequest) -> tuple[Net, Any]:
    one = NETS[request.param]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CaffeWarning)
        return one, keras_caffe.load(one.text, phase=one.phase, fork="fcn" if request.param == "HED" else None)


def test_it_is_read_as_its_fork_and_check_agrees(net: Any) -> None:
    one, model = net
    assert model.net.fork.name == one.fork
    found = keras_caffe.check(one.text, phase=one.phase, fork=one.fork)
    assert not [finding for finding in found if finding.severity == "error"]


def test_it_runs_forward_and_backward(net: Any) -> None:
    _, model = net
    fed = values(model)
    with tf.GradientTape() as tape:
        tops = model(fed, training=False)
        arrays = tf.nest.flatten(tops)
        total = sum(tf.reduce_sum(top) for top in arrays if top.dtype == tf.float32)
    assert all(np.isfinite(np.asarray(array)).all() for array in arrays)
    gradients = tape.gradient(total, model.trainable_variables)
    assert all(np.isfinite(np.asarray(g)).all() for g in gradients if g is not None)


def test_it_exports_or_is_refused_by_name(net: Any, tmp_path: Path) -> None:
    one, model = net
    if one.refused:
        with pytest.raises(ExportError, match=one.refused):
            keras_caffe.to_onnx(model, tmp_path / "net.onnx")
    else:
        keras_caffe.to_onnx(model, tmp_path / "net.onnx")


V1_DEEPLAB = """
layers { name: "data" type: IMAGE_SEG_DATA top: "data" top: "label" include { phase: TRAIN }
  image_data_param { source: "list" label_type: PIXEL batch_size: 2 } transform_param { crop_size: 10 } }
layers { name: "conv" type: CONVOLUTION bottom: "data" top: "conv"
  convolution_param { num_output: 3 kernel_size: 3 pad: 2 hole: 2 weight_filler { type: "xavier" } } }
layers { name: "up" type: INTERP bottom: "conv" top: "up" interp_param { zoom_factor: 2 } }
layers { name: "cut" type: PADDING bottom: "up" top: "cut" padding_param { pad_beg: -4 pad_end: -5 } }
layers { name: "loss" type: SOFTMAX_LOSS bottom: "cut" bottom: "label" top: "loss" }
layers { name: "accuracy" type: SEG_ACCURACY bottom: "cut" bottom: "label" top: "accuracy"
  seg_accuracy_param { ignore_label: 255 } }
"""


def test_words_of_forks_in_layers_blocks() -> None:
    model = keras_caffe.load(V1_DEEPLAB, phase="TRAIN", data_format="channels_first")
    assert model.net.fork.name == "deeplab"
    types = {name: type(layer).__name__ for name, layer in model.caffe_layers.items()}
    assert types == {
        "conv": "Convolution",
        "up": "Interp",
        "cut": "Padding",
        "loss": "SoftmaxWithLoss",
        "accuracy": "SegAccuracy",
    }
    assert model.blobs["cut"].shape == (None, 3, 10, 10)


def test_a_crop_in_layers_blocks_is_that_of_fcn() -> None:
    text = """input: "x" input_dim: 1 input_dim: 1 input_dim: 8 input_dim: 8
    layers { name: "up" type: DECONVOLUTION bottom: "x" top: "up"
      convolution_param { num_output: 1 kernel_size: 5 bias_term: false weight_filler { type: "constant" value: 1 } } }
    layers { name: "crop" type: CROP bottom: "up" bottom: "x" top: "crop" }"""
    model = keras_caffe.load(text, data_format="channels_first")
    x = np.random.default_rng(0).normal(size=(1, 1, 8, 8)).astype("float32")
    up = keras_caffe.load(text[: text.index('layers { name: "crop"')], data_format="channels_first")(x)
    np.testing.assert_array_equal(model(x), np.asarray(up)[:, :, 2:10, 2:10])
