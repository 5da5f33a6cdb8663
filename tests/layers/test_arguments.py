"""Arguments of constructors: what each class refuses, and which spellings mean the same."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any, NamedTuple

import numpy as np
import pytest
from keras import initializers

from keras_caffe import layers, losses, metrics, optimizers, registry
from keras_caffe.errors import CaffeError, LayerError, ShapeError, SolverError, UnknownLayerError
from keras_caffe.layers.base import CaffeLayer
from keras_caffe.layers.loss_weight import LossWeight
from keras_caffe.layers.source import SourceLayer
from tests.layers.cases import declared


class Wrong(NamedTuple):
    """Arguments that a class refuses, beside those it needs (`NEEDED`), and what the error says."""

    cls: type
    arguments: dict[str, Any]
    match: str
    error: type[CaffeError] = LayerError


class Same(NamedTuple):
    """Arguments and the canonical spelling of them."""

    cls: type
    given: dict[str, Any]
    canonical: dict[str, Any]


# What a class cannot be made without.
NEEDED: dict[type, dict[str, Any]] = {
    layers.CenterLoss: {"num_output": 4},
    layers.Clip: {"min": 0, "max": 1},
    layers.ContinuationIndicator: {"time_step": 2},
    layers.Convolution: {"num_output": 4, "kernel_size": 3},
    layers.ConvolutionDepthwise: {"num_output": 4, "kernel_size": 3},
    layers.Crop: {"axes": (1, 2)},
    layers.Deconvolution: {"num_output": 4, "kernel_size": 3},
    layers.DepthwiseConvolution: {"num_output": 4, "kernel_size": 3},
    layers.DetectionEvaluate: {"num_classes": 3},
    layers.DetectionOutput: {"num_classes": 3},
    layers.Embed: {"num_output": 4, "input_dim": 5},
    layers.InnerProduct: {"num_output": 4},
    LossWeight: {"loss_weight": 1},
    layers.LSTM: {"num_output": 4},
    layers.MultiBoxLoss: {"num_classes": 4},
    layers.PSROIPooling: {"output_dim": 2, "group_size": 2, "spatial_scale": 1.0},
    layers.PriorBox: {"min_size": 30},
    layers.Python: {"python_class": "keras_caffe.None"},
    layers.RNN: {"num_output": 4},
    layers.ROIAlign: {"pooled_h": 2, "pooled_w": 2},
    layers.ROIPooling: {"pooled_h": 2, "pooled_w": 2},
    layers.Reorg: {"stride": 2},
    layers.Reshape: {"dim": (0, -1)},
    layers.SPP: {"pyramid_height": 2},
    layers.Tile: {"tiles": 2},
    layers.YoloDetectionOutput: {"anchors": [(10, 14)]},
    layers.Yolov3DetectionOutput: {"num_classes": 2, "anchors": [[(10, 14)]], "scales": 32},
    losses.Infogain: {"matrix": [[1, 0], [0, 1]]},
    losses.MultiBox: {"num_classes": 4},
    optimizers.Fixed: {"base_lr": 0.1},
    optimizers.Exp: {"base_lr": 0.1, "gamma": 0.9},
    optimizers.Inv: {"base_lr": 0.1, "gamma": 0.9, "power": 1},
    optimizers.MultiStep: {"base_lr": 0.1, "gamma": 0.9, "stepvalues": 5},
    optimizers.Plateau: {"base_lr": 0.1, "gamma": 0.9, "winsizes": 5},
    optimizers.Poly: {"base_lr": 0.1, "power": 1, "max_iter": 10},
    optimizers.Sigmoid: {"base_lr": 0.1, "gamma": 0.9, "stepsize": 5},
    optimizers.Step: {"base_lr": 0.1, "gamma": 0.9, "stepsize": 5},
}


def wrong_filler(cls: type, name: str) -> list[Wrong]:
    unknown = rf"unknown filler type of {name}; .*received 'gausian'. Did you mean 'gaussian'\?"
    return [Wrong(cls, {name: "gausian"}, unknown), Wrong(cls, {name: 0}, f"{name} is not a filler; .*received 0")]


def wrong_flag(cls: type, name: str) -> Wrong:
    return Wrong(cls, {name: "no"}, f"{name} must be True or False; received 'no'")


def wrong_number(cls: type, name: str) -> Wrong:
    return Wrong(cls, {name: "1"}, f"{name} must be a number.*; received '1'")


def wrong_whole(cls: type, name: str, least: int | None = None) -> Wrong:
    value, bound = (1.5, "") if least is None else (least - 1, f" of at least {least}")
    return Wrong(cls, {name: value}, f"{name} must be a whole number{bound}; received {value}")


def windows(cls: type) -> list[Wrong]:
    return [
        Wrong(cls, {"kernel_size": (3, 0)}, "kernel_size must be a whole number of at least 1; received 0"),
        Wrong(cls, {"stride": 1.5}, "stride must be a whole number of at least 1; received 1.5"),
        Wrong(cls, {"stride": (1, 1, 1)}, "stride must be given once or once per axis; expected 1 or 2 values"),
        Wrong(cls, {"pad": -1}, "pad must be a whole number of at least 0; received -1"),
        Wrong(cls, {"dilation": True}, "dilation must be a whole number of at least 0; received True"),
    ]


def convolution(cls: type) -> list[Wrong]:
    return [
        *windows(cls),
        wrong_whole(cls, "num_output", 1),
        wrong_whole(cls, "group", 1),
        wrong_flag(cls, "bias_term"),
        *wrong_filler(cls, "weight_filler"),
        *wrong_filler(cls, "bias_filler"),
    ]


def recurrent(cls: type) -> list[Wrong]:
    return [
        Wrong(cls, {"num_output": 0}, "num_output must be a whole number of at least 1; received 0"),
        Wrong(cls, {"expose_hidden": "no"}, "expose_hidden must be True or False; received 'no'"),
        Wrong(cls, {"static_input": 2}, "static_input must be True or False; received 2"),
        *wrong_filler(cls, "weight_filler"),
        *wrong_filler(cls, "bias_filler"),
    ]


def regions(cls: type) -> list[Wrong]:
    return [
        Wrong(cls, {"pooled_h": 0}, "pooled_h must be a whole number of at least 1; received 0"),
        Wrong(cls, {"pooled_w": 2.5}, "pooled_w must be a whole number of at least 1; received 2.5"),
        Wrong(cls, {"spatial_scale": "1"}, "spatial_scale must be a number; received '1'"),
    ]


def class_loss(cls: type) -> list[Wrong]:
    return [
        Wrong(cls, {"axis": "1"}, "axis must be a whole number; received '1'"),
        Wrong(cls, {"ignore_label": 0.5}, "ignore_label must be a whole number; received 0.5"),
        Wrong(cls, {"normalization": "VALIDE"}, r"unknown normalization; .*Did you mean 'VALID'\?"),
    ]


def multi_box(cls: type) -> list[Wrong]:
    return [
        Wrong(cls, {"num_classes": "4"}, "num_classes must be a whole number; received '4'"),
        Wrong(cls, {"num_classes": 0}, "num_classes must be positive"),
        Wrong(cls, {"objectness_score": "0.1"}, "objectness_score must be a number; received '0.1'"),
        Wrong(cls, {"objects_alike": True}, "objects_alike needs two classes"),
        Wrong(cls, {"loc_loss_type": "L1"}, "unknown loc_loss_type; expected one of L2, SMOOTH_L1; received 'L1'"),
        Wrong(cls, {"conf_loss_type": "SIGMOID"}, "unknown conf_loss_type; expected one of SOFTMAX, LOGISTIC"),
        Wrong(cls, {"match_type": 1}, "unknown match_type; expected one of BIPARTITE, PER_PREDICTION; received 1"),
        Wrong(cls, {"mining_type": None}, "unknown mining_type; .* received None"),
        Wrong(cls, {"code_type": "CENTRE_SIZE"}, r"unknown code_type; .*Did you mean 'CENTER_SIZE' or"),
        Wrong(cls, {"normalization": "MEAN"}, "unknown normalization; expected one of FULL, VALID, BATCH_SIZE, NONE"),
        Wrong(cls, {"loc_weight": None}, "loc_weight must be a number; received None"),
        Wrong(cls, {"nms_threshold": "0.3"}, "nms_threshold must be a number; received '0.3'"),
        Wrong(cls, {"top_k": 0.5}, "top_k must be a whole number; received 0.5"),
        Wrong(cls, {"bp_inside": 2}, "bp_inside must be True or False; received 2"),
        Wrong(cls, {"share_location": False}, "mining needs share_location"),
        Wrong(cls, {"background_label_id": 4}, "background_label_id is none of the classes"),
        Wrong(cls, {"map_object_to_agnostic": True}, "map_object_to_agnostic needs two classes"),
        Wrong(cls, {"mining_type": "HARD_EXAMPLE", "sample_size": 0}, "sample_size must be positive"),
    ]


METHODS = (
    optimizers.SGD,
    optimizers.Nesterov,
    optimizers.AdaGrad,
    optimizers.RMSProp,
    optimizers.AdaDelta,
    optimizers.Adam,
)


def optimizer(cls: type) -> list[Wrong]:
    rows = [
        ({"learning_rate": "fast"}, "learning_rate must be a number; received 'fast'"),
        ({"weight_decay": "0"}, "weight_decay must be a number; received '0'"),
        ({"regularization_type": "L3"}, "unknown regularization_type; expected one of L2, L1; received 'L3'"),
        ({"clip_gradients": None}, "clip_gradients must be a number; received None"),
        ({"iter_size": 0}, "iter_size must be a whole number of at least 1; received 0"),
        ({"multipliers": {"a/b": 1.0}}, "multipliers are not pairs of numbers; expected {path of a variable"),
        ({"multipliers": [1]}, "multipliers are not pairs of numbers; expected {path of a variable"),
        ({"multipliers": {"a/b": (1.0, "2")}}, r"multipliers\['a/b'\] must be a number; received '2'"),
    ]
    return [Wrong(cls, arguments, match, SolverError) for arguments, match in rows]


DECAYING = (
    optimizers.Exp,
    optimizers.Inv,
    optimizers.MultiStep,
    optimizers.Plateau,
    optimizers.Sigmoid,
    optimizers.Step,
)
POLICIES = (*DECAYING, optimizers.Fixed, optimizers.Poly)


# One row at least for each argument of each class.
WRONG = [
    wrong_whole(layers.Accuracy, "top_k", 1),
    wrong_whole(layers.Accuracy, "axis"),
    wrong_whole(layers.Accuracy, "ignore_label"),
    Wrong(layers.Accuracy, {"ties": "caffe"}, "unknown ties; expected one of bvlc, ssd; received 'caffe'"),
    wrong_flag(layers.Accuracy, "per_class"),
    wrong_whole(layers.ArgMax, "top_k", 1),
    wrong_flag(layers.ArgMax, "out_max_val"),
    wrong_whole(layers.ArgMax, "axis"),
    wrong_flag(layers.BatchNorm, "use_global_stats"),
    wrong_number(layers.BatchNorm, "moving_average_fraction"),
    wrong_number(layers.BatchNorm, "eps"),
    wrong_flag(layers.BatchNorm, "scale_bias"),
    Wrong(
        layers.BatchNorm, {"statistics": "sum"}, "unknown statistics; expected one of sums, averages; received 'sum'"
    ),
    Wrong(layers.BatchNorm, {"scale_bias": True, "scale_filler": "?"}, "unknown filler type of scale_filler"),
    Wrong(layers.BatchNorm, {"scale_bias": True, "bias_filler": "?"}, "unknown filler type of bias_filler"),
    wrong_whole(layers.BatchReindex, "axis"),
    Wrong(layers.Bias, {"axes": (1, 1)}, r"axes names an axis twice; received \(1, 1\)"),
    Wrong(layers.Bias, {"axes": 0.5}, "axes must be a whole number; received 0.5"),
    *wrong_filler(layers.Bias, "filler"),
    Wrong(layers.BN, {"statistics": "bach"}, r"unknown statistics; expected one of batch, .* Did you mean 'batch'\?"),
    Wrong(layers.BN, {"statistics": "moving", "history": False}, "statistics 'moving' need the moving ones"),
    wrong_number(layers.BN, "momentum"),
    wrong_number(layers.BN, "eps"),
    wrong_flag(layers.BN, "history"),
    wrong_flag(layers.BN, "frozen"),
    wrong_whole(layers.BN, "axis"),
    wrong_whole(layers.BN, "blob_axes", 1),
    Wrong(layers.BN, {"blob_axis": 4}, "blob_axis must be a whole number of at least 0 and of at most 3; received 4"),
    Wrong(layers.BN, {"more_tops": 3}, "more_tops must be a whole number of at least 0 and of at most 2; received 3"),
    Wrong(layers.BN, {"statistics": "none", "more_tops": 1}, "without statistics BN has no further tops"),
    *wrong_filler(layers.BN, "scale_filler"),
    *wrong_filler(layers.BN, "shift_filler"),
    wrong_whole(layers.CenterLoss, "num_output", 1),
    Wrong(layers.CenterLoss, {"axis": 0}, "the features cannot include the batch axis; .*; received 0"),
    *wrong_filler(layers.CenterLoss, "center_filler"),
    wrong_number(layers.Clip, "min"),
    wrong_number(layers.Clip, "max"),
    wrong_whole(layers.Concat, "axis"),
    wrong_whole(layers.ContinuationIndicator, "time_step", 1),
    wrong_whole(layers.ContinuationIndicator, "batch_size", 1),
    wrong_whole(layers.ContinuationIndicator, "axis"),
    wrong_number(layers.ContrastiveLoss, "margin"),
    wrong_flag(layers.ContrastiveLoss, "legacy_version"),
    *convolution(layers.Convolution),
    *convolution(layers.ConvolutionDepthwise),
    Wrong(layers.Crop, {"axes": (1, 1)}, r"axes names an axis twice; received \(1, 1\)"),
    Wrong(layers.Crop, {"offset": (1, 2, 3)}, "offset must be given once or once per axis; expected 1 or 2 values"),
    wrong_whole(layers.Crop, "offset", 0),
    *convolution(layers.Deconvolution),
    *convolution(layers.DepthwiseConvolution),
    wrong_whole(layers.DetectionEvaluate, "num_classes", 1),
    wrong_whole(layers.DetectionEvaluate, "background_label_id"),
    Wrong(layers.DetectionEvaluate, {"overlap_threshold": 0}, "overlap_threshold must be a number above 0; received 0"),
    wrong_flag(layers.DetectionEvaluate, "evaluate_difficult_gt"),
    wrong_flag(layers.DetectionEvaluate, "objects_alike"),
    wrong_whole(layers.DetectionOutput, "num_classes", 1),
    wrong_flag(layers.DetectionOutput, "share_location"),
    wrong_whole(layers.DetectionOutput, "background_label_id"),
    Wrong(layers.DetectionOutput, {"nms_threshold": -1}, "nms_threshold must be a number of at least 0; received -1"),
    Wrong(layers.DetectionOutput, {"eta": 0}, "eta must be a number above 0 and of at most 1; received 0"),
    Wrong(layers.DetectionOutput, {"eta": 1.5}, "eta must be a number above 0 and of at most 1; received 1.5"),
    wrong_whole(layers.DetectionOutput, "top_k"),
    Wrong(layers.DetectionOutput, {"code_type": "CENTRE_SIZE"}, r"unknown code_type; .*Did you mean 'CENTER_SIZE'"),
    wrong_flag(layers.DetectionOutput, "variance_encoded_in_target"),
    wrong_whole(layers.DetectionOutput, "keep_top_k"),
    wrong_number(layers.DetectionOutput, "confidence_threshold"),
    Wrong(layers.Dropout, {"dropout_ratio": 1.5}, "must be a number of at least 0 and of at most 1; received 1.5"),
    Wrong(layers.Dropout, {"dropout_ratio": float("nan")}, "must be a number of at least 0 .*; received nan"),
    wrong_whole(layers.Dropout, "seed", 0),
    wrong_number(layers.ELU, "alpha"),
    wrong_whole(layers.Embed, "num_output", 1),
    wrong_whole(layers.Embed, "input_dim", 1),
    wrong_flag(layers.Embed, "bias_term"),
    *wrong_filler(layers.Embed, "weight_filler"),
    *wrong_filler(layers.Embed, "bias_filler"),
    Wrong(layers.Exp, {"base": 0}, "the base must be positive, or -1 for e; received 0.0"),
    Wrong(layers.Exp, {"base": float("inf")}, "the base must be positive, or -1 for e; received inf"),
    wrong_number(layers.Exp, "base"),
    wrong_number(layers.Exp, "scale"),
    wrong_number(layers.Exp, "shift"),
    Wrong(layers.Filter, {"axes": (0, "1")}, "axes must be a whole number; received '1'"),
    wrong_whole(layers.Flatten, "axis"),
    wrong_whole(layers.Flatten, "end_axis"),
    Wrong(layers.HingeLoss, {"norm": "L3"}, "unknown norm; expected one of L1, L2; received 'L3'"),
    *windows(layers.Im2col),
    wrong_whole(layers.InfogainLoss, "axis"),
    wrong_whole(layers.InfogainLoss, "batch_axes", 0),
    wrong_whole(layers.InfogainLoss, "ignore_label"),
    Wrong(layers.InfogainLoss, {"normalization": "VALD"}, r"unknown normalization; .*Did you mean 'VALID'\?"),
    Wrong(layers.InfogainLoss, {"matrix": np.ones((2, 3))}, r"K rows of K numbers; received shape \(2, 3\)"),
    Wrong(layers.InfogainLoss, {"matrix": [[1, 2], [3]]}, "matrix must be K rows of K numbers"),
    wrong_flag(layers.InfogainLoss, "probabilities"),
    wrong_whole(layers.InnerProduct, "num_output", 1),
    wrong_whole(layers.InnerProduct, "axis", 0),
    wrong_flag(layers.InnerProduct, "bias_term"),
    wrong_flag(layers.InnerProduct, "transpose"),
    wrong_flag(layers.InnerProduct, "normalize"),
    *wrong_filler(layers.InnerProduct, "weight_filler"),
    *wrong_filler(layers.InnerProduct, "bias_filler"),
    Wrong(layers.Interp, {"size": (5, 0)}, r"size \(height, width\) must be a whole number of at least 1; received 0"),
    Wrong(layers.Interp, {"size": (5, 5, 5)}, "must be given once or once per axis; expected 1 or 2 values"),
    wrong_whole(layers.Interp, "zoom_factor", 1),
    wrong_whole(layers.Interp, "shrink_factor", 1),
    Wrong(layers.Interp, {"pad_beg": 1}, "pad_beg must be a whole number of at most 0; received 1"),
    Wrong(layers.Interp, {"pad_end": 1}, "pad_end must be a whole number of at most 0; received 1"),
    # l to z
    Wrong(layers.L2Norm, {"axes": (1, 2, 1)}, r"axes names an axis twice; received \(1, 2, 1\)"),
    wrong_number(LossWeight, "loss_weight"),
    Wrong(layers.Log, {"base": 0}, "the base must be positive, or -1 for e; received 0"),
    Wrong(layers.Log, {"base": 1}, "there is no logarithm to the base 1"),
    Wrong(layers.Log, {"base": "e"}, "base must be a number; received 'e'"),
    Wrong(layers.Log, {"scale": None}, "scale must be a number; received None"),
    Wrong(layers.Log, {"shift": True}, "shift must be a number; received True"),
    Wrong(layers.LRN, {"local_size": 4}, "local_size must be odd; received 4"),
    Wrong(layers.LRN, {"local_size": 0}, "local_size must be a whole number of at least 1; received 0"),
    Wrong(layers.LRN, {"alpha": "1"}, "alpha must be a number; received '1'"),
    Wrong(layers.LRN, {"beta": None}, "beta must be a number; received None"),
    Wrong(layers.LRN, {"k": [1]}, r"k must be a number; received \[1\]"),
    Wrong(layers.LRN, {"norm_region": "within"}, r"unknown norm_region; .*Did you mean 'WITHIN_CHANNEL'\?"),
    *recurrent(layers.LSTM),
    *recurrent(layers.RNN),
    Wrong(layers.MVN, {"axes": (1, -3)}, r"axes names an axis twice; received \(1, 1\)"),
    Wrong(layers.MVN, {"axes": 4}, "axes is out of range; expected -4 <= axes < 4; received 4"),
    Wrong(layers.MVN, {"normalize_variance": 2}, "normalize_variance must be True or False; received 2"),
    Wrong(layers.MVN, {"eps": "0"}, "eps must be a number; received '0'"),
    Wrong(layers.Maxout, {"chgroup_sz": 0}, "chgroup_sz must be a whole number of at least 1; received 0"),
    Wrong(layers.Maxout, {"axis": (1,)}, r"axis must be a whole number; received \(1,\)"),
    Wrong(layers.MultiBoxLoss, {"num_classes": 0}, "num_classes must be positive"),
    Wrong(layers.MultiBoxLoss, {"parts": (True, 2)}, "parts must be True or False; received 2"),
    Wrong(layers.MultiBoxLoss, {"parts": (True,)}, "parts must be given once or once per axis; expected 1 or 2 values"),
    *multi_box(layers.MultiBoxLoss),
    Wrong(layers.Normalize, {"across_spatial": "no"}, "across_spatial must be True or False; received 'no'"),
    Wrong(layers.Normalize, {"channel_shared": None}, "channel_shared must be True or False; received None"),
    Wrong(layers.Normalize, {"eps": [1]}, r"eps must be a number; received \[1\]"),
    *wrong_filler(layers.Normalize, "scale_filler"),
    Wrong(layers.PReLU, {"axis": 1.0}, "axis must be a whole number; received 1.0"),
    Wrong(layers.PReLU, {"channel_shared": 2}, "channel_shared must be True or False; received 2"),
    *wrong_filler(layers.PReLU, "filler"),
    Wrong(layers.PSROIPooling, {"output_dim": 0}, "output_dim must be a whole number of at least 1; received 0"),
    Wrong(layers.PSROIPooling, {"group_size": -1}, "group_size must be a whole number of at least 1; received -1"),
    Wrong(layers.PSROIPooling, {"spatial_scale": 0}, "spatial_scale must be a number above 0; received 0"),
    Wrong(layers.PSROIPooling, {"spatial_scale": float("nan")}, "spatial_scale must be a number above 0; received nan"),
    Wrong(layers.Parameter, {"shape": (2, -1)}, "a blob has a negative size", ShapeError),
    Wrong(layers.Parameter, {"shape": (1,) * 33}, "a blob has too many axes", ShapeError),
    Wrong(layers.Parameter, {"shape": (2**16, 2**16)}, "a blob is larger than Caffe allows", ShapeError),
    Wrong(layers.Parameter, {"shape": (0, 2**31)}, "a blob is larger than Caffe allows", ShapeError),
    Wrong(layers.Parameter, {"shape": 2.0}, "shape must be a whole number; received 2.0"),
    Wrong(layers.Permute, {"order": (0, 1, 1)}, r"order names an axis twice; received \(0, 1, 1\)"),
    Wrong(layers.Permute, {"order": (0, 2)}, "order must name every axis; expected 0 to 1, each once"),
    Wrong(layers.Permute, {"order": (-1, 0)}, "order must name every axis; expected 0 to 1, each once"),
    Wrong(layers.Pooling, {"pool": "MEAN"}, "unknown pool; expected one of MAX, AVE, STOCHASTIC; received 'MEAN'"),
    Wrong(layers.Pooling, {"kernel_size": 0}, "kernel_size must be a whole number of at least 1; received 0"),
    Wrong(layers.Pooling, {"kernel_size": (2,)}, "kernel_size must be given once or once per axis; expected 1 or 2"),
    Wrong(layers.Pooling, {"stride": (1, 0)}, "stride must be a whole number of at least 1; received 0"),
    Wrong(layers.Pooling, {"kernel_size": 3, "pad": 3}, r"pad must be smaller than the kernel; expected less than \(3"),
    Wrong(layers.Pooling, {"kernel_size": 3, "pad": -1}, "pad must be a whole number of at least 0; received -1"),
    Wrong(layers.Pooling, {"pool": "STOCHASTIC", "kernel_size": 3, "pad": 1}, "STOCHASTIC pooling takes no padding"),
    Wrong(layers.Pooling, {"round_mode": "down"}, "unknown round_mode; expected one of CEIL, FLOOR; received 'down'"),
    Wrong(layers.Pooling, {"global_pooling": "yes"}, "global_pooling must be True or False; received 'yes'"),
    Wrong(layers.Pooling, {"global_pooling": True, "stride": 2}, "global_pooling needs pad 0 and stride 1"),
    Wrong(layers.Pooling, {"with_mask": 2}, "with_mask must be True or False; received 2"),
    Wrong(layers.Pooling, {"pool": "AVE", "with_mask": True}, "only MAX pooling has a second top"),
    Wrong(layers.Power, {"power": "2"}, "power must be a number; received '2'"),
    Wrong(layers.Power, {"scale": 1j}, "scale must be a number; received 1j"),
    Wrong(layers.Power, {"shift": False}, "shift must be a number; received False"),
    Wrong(layers.PriorBox, {"min_size": ()}, "min_size is missing"),
    Wrong(layers.PriorBox, {"min_size": 0}, "min_size must be a number above 0 and of at most 2147483647; received 0"),
    Wrong(layers.PriorBox, {"min_size": 30, "max_size": 30}, "max_size does not fit min_size"),
    Wrong(layers.PriorBox, {"min_size": 30, "max_size": (40, 50)}, "max_size does not fit min_size"),
    Wrong(layers.PriorBox, {"min_size": 30, "max_size": float("nan")}, "max_size must be a number of at most"),
    Wrong(layers.PriorBox, {"aspect_ratio": (2, -2)}, "aspect_ratio must be a number above 0"),
    Wrong(layers.PriorBox, {"flip": "yes"}, "flip must be True or False; received 'yes'"),
    Wrong(layers.PriorBox, {"clip": 3}, "clip must be True or False; received 3"),
    Wrong(layers.PriorBox, {"variance": (0.1, 0.1)}, "variance must be none, one or four numbers"),
    Wrong(layers.PriorBox, {"variance": 0}, "variance must be a number above 0; received 0"),
    Wrong(layers.PriorBox, {"img_size": (300, 0)}, "img_size must be a whole number of at least 1; received 0"),
    Wrong(layers.PriorBox, {"step": (8, 8, 8)}, "step must be given once or once per axis; expected 1 or 2 values"),
    Wrong(layers.PriorBox, {"step": -8.0}, "step must be a number above 0; received -8.0"),
    Wrong(layers.PriorBox, {"offset": None}, "offset must be a number; received None"),
    Wrong(layers.PriorBox, {"spatial": (1, -3)}, r"spatial names an axis twice; received \(1, 1\)"),
    Wrong(layers.PriorBox, {"spatial": (1, 4)}, "spatial is out of range"),
    Wrong(
        layers.SigmoidCrossEntropyBalanceLoss, {"negative_weight": -1}, "negative_weight must be a number of at least 0"
    ),
    Wrong(layers.SigmoidCrossEntropyBalanceLoss, {"unsure_gradient": 2}, "unsure_gradient must be True or False"),
    Wrong(layers.PriorBox, {"rule": "yolo"}, "rule"),
    Wrong(layers.PriorBox, {"min_size": (), "fixed_size": 0.5}, "fixed_size must be a number of at least 1"),
    Wrong(layers.PriorBox, {"density": 0}, "density must be a number of at least 1"),
    Wrong(layers.PriorBox, {"fixed_ratio": 0}, "fixed_ratio must be a number above 0"),
    Wrong(layers.Proposal, {"feat_stride": -1}, "feat_stride must be a whole number of at least 0; received -1"),
    Wrong(layers.Proposal, {"base_size": 1.5}, "base_size must be a whole number of at least 0; received 1.5"),
    Wrong(layers.Proposal, {"min_size": "16"}, "min_size must be a whole number of at least 0; received '16'"),
    Wrong(layers.Proposal, {"ratio": 0}, "ratio must be a number above 0; received 0"),
    Wrong(layers.Proposal, {"scale": ()}, "no anchors; expected one or more of each, ratio and scale"),
    Wrong(layers.Proposal, {"pre_nms_topn": -1}, "pre_nms_topn must be a whole number of at least 0; received -1"),
    Wrong(layers.Proposal, {"post_nms_topn": None}, "post_nms_topn must be a whole number of at least 0"),
    Wrong(layers.Proposal, {"nms_thresh": "0.7"}, "nms_thresh must be a number; received '0.7'"),
    Wrong(layers.Proposal, {"python": "yes"}, "python must be True or False; received 'yes'"),
    Wrong(layers.Proposal, {"scores": 2}, "scores must be True or False; received 2"),
    Wrong(layers.Proposal, {"pixels": 2}, "pixels must be True or False; received 2"),
    Wrong(layers.Proposal, {"pixels": True}, "the Python layer has no pixel scales; expected python=False"),
    Wrong(layers.DetectionOutput, {"objectness_score": "0"}, "objectness_score must be a number; received '0'"),
    Wrong(layers.YoloDetectionOutput, {"num_classes": 0}, "num_classes must be a whole number of at least 1"),
    Wrong(layers.YoloDetectionOutput, {"anchors": ()}, "there are no anchors; expected one"),
    Wrong(layers.YoloDetectionOutput, {"anchors": [(1, 2, 3)]}, "an anchor must be two numbers; expected"),
    Wrong(layers.YoloDetectionOutput, {"confidence_threshold": "0"}, "confidence_threshold must be a number"),
    Wrong(layers.YoloDetectionOutput, {"nms_threshold": None}, "nms_threshold must be a number; received None"),
    Wrong(layers.Yolov3DetectionOutput, {"gaussian_box": 2}, "gaussian_box must be True or False; received 2"),
    Wrong(layers.Python, {"python_class": "no.Class"}, "no class for the Python layer 'no.Class'", UnknownLayerError),
    Wrong(layers.Python, {"param_str": 3}, "param_str must be a text; received 3"),
    Wrong(
        layers.Python, {"phase": "TEST"}, "phase must be a whole number of at least 0 and of at most 1; received 'TEST'"
    ),
    Wrong(layers.Python, {"num_tops": -1}, "num_tops must be a whole number of at least 0; received -1"),
    Wrong(layers.Python, {"in_place": [-1]}, "in_place must be a whole number of at least 0; received -1"),
    Wrong(layers.Python, {"bottom_shapes": [(None, 3)]}, "bottom_shapes must be a whole number of at least 0"),
    Wrong(layers.Python, {"propagate_down": [True, False]}, "propagate_down must be given once per bottom; expected 0"),
    Wrong(layers.ReLU, {"negative_slope": "0.1"}, "negative_slope must be a number; received '0.1'"),
    Wrong(layers.ReLU6, {"negative_slope": None}, "negative_slope must be a number; received None"),
    *regions(layers.ROIAlign),
    Wrong(layers.ROIAlign, {"sampling_ratio": 0.5}, "sampling_ratio must be a whole number; received 0.5"),
    *regions(layers.ROIPooling),
    Wrong(layers.Reduction, {"operation": "FOO"}, "unknown operation; expected one of SUM, ASUM, SUMSQ, MEAN"),
    Wrong(layers.Reduction, {"operation": "SUMSQR"}, "Did you mean 'SUMSQ'"),
    Wrong(layers.Reduction, {"axes": (1, 1)}, r"axes names an axis twice; received \(1, 1\)"),
    Wrong(layers.Reduction, {"coeff": "1"}, "coeff must be a number; received '1'"),
    Wrong(layers.Reorg, {"stride": 0}, "stride must be a whole number of at least 1; received 0"),
    Wrong(layers.Reorg, {"reverse": "no"}, "reverse must be True or False; received 'no'"),
    Wrong(layers.Reshape, {"dim": (-1, -1)}, r"dim has more than one -1; expected at most one; received \(-1, -1\)"),
    Wrong(layers.Reshape, {"dim": (0, -2)}, "dim must be a whole number of at least -1; received -2"),
    Wrong(layers.Reshape, {"axis": "1"}, "axis must be a whole number; received '1'"),
    Wrong(layers.Reshape, {"num_axes": -2}, "num_axes must be a whole number of at least -1; received -2"),
    Wrong(layers.SPP, {"pyramid_height": 0}, "pyramid_height must be a whole number of at least 1 and of at most 30"),
    Wrong(layers.SPP, {"pyramid_height": 31}, "pyramid_height must be a whole number of at least 1 and of at most 30"),
    Wrong(layers.SPP, {"pool": "MEAN"}, "unknown pool; expected one of MAX, AVE, STOCHASTIC; received 'MEAN'"),
    Wrong(layers.Scale, {"axes": (1, 1)}, r"axes names an axis twice; received \(1, 1\)"),
    Wrong(layers.Scale, {"bias_term": "yes"}, "bias_term must be True or False; received 'yes'"),
    *wrong_filler(layers.Scale, "filler"),
    Wrong(layers.Scale, {"bias_term": True, "bias_filler": 0}, "bias_filler is not a filler"),
    Wrong(layers.ShuffleChannel, {"group": 0}, "group must be a whole number of at least 1; received 0"),
    Wrong(layers.ShuffleChannel, {"axis": None}, "axis must be a whole number; received None"),
    Wrong(layers.SigmoidCrossEntropyLoss, {"ignore_label": 0.5}, "ignore_label must be a whole number; received 0.5"),
    Wrong(layers.SigmoidCrossEntropyLoss, {"normalization": "MEAN"}, "unknown normalization; expected one of FULL, V"),
    Wrong(layers.Slice, {"num_tops": 0}, "num_tops must be a whole number of at least 1; received 0"),
    Wrong(layers.Slice, {"axis": "1"}, "axis must be a whole number; received '1'"),
    Wrong(layers.Slice, {"slice_point": (1, 2)}, "slice_point must be given once per cut; expected 1; received 2"),
    Wrong(layers.Slice, {"slice_point": 0}, r"slice_point must rise and start at 1 or more; received \(0,\)"),
    Wrong(
        layers.Slice,
        {"num_tops": 3, "slice_point": (2, 2)},
        r"slice_point must rise and start at 1 or more; received \(2, 2\)",
    ),
    Wrong(layers.SmoothL1Loss, {"definition": "fast"}, "unknown definition; expected one of ssd, rcnn"),
    Wrong(layers.SmoothL1Loss, {"sigma": 3}, "SSD's SmoothL1Loss has no sigma; received 3"),
    Wrong(layers.SmoothL1Loss, {"definition": "rcnn", "sigma": "3"}, "sigma must be a number; received '3'"),
    Wrong(layers.Softmax, {"axis": 0.5}, "axis must be a whole number; received 0.5"),
    *class_loss(layers.SoftmaxWithLoss),
    Wrong(layers.SoftmaxWithLoss, {"class_weighting": ("a", 1)}, "class_weighting must be a number; received 'a'"),
    Wrong(layers.SoftmaxWithLoss, {"batch_axes": -1}, "batch_axes must be a whole number of at least 0; received -1"),
    Wrong(layers.Split, {"num_tops": 0}, "num_tops must be a whole number of at least 1; received 0"),
    Wrong(layers.Swish, {"beta": "1"}, "beta must be a number; received '1'"),
    Wrong(layers.Threshold, {"threshold": None}, "threshold must be a number; received None"),
    Wrong(layers.Tile, {"tiles": 0}, "tiles must be a whole number of at least 1; received 0"),
    Wrong(layers.Tile, {"axis": True}, "axis must be a whole number; received True"),
    Wrong(layers.Upsample, {"scale": (2, 0)}, "scale must be a whole number of at least 1; received 0"),
    Wrong(layers.Upsample, {"size": (2, 2, 2)}, "size must be given once or once per axis; expected 1 or 2 values"),
    Wrong(layers.Upsample, {"pad_out": 2}, "pad_out must be True or False; received 2"),
    Wrong(layers.Yolov3DetectionOutput, {"num_classes": -1}, "num_classes must be a whole number of at least 0"),
    Wrong(layers.Yolov3DetectionOutput, {"anchors": [[(10, 14, 9)]]}, "an anchor must be two numbers; expected"),
    Wrong(layers.Yolov3DetectionOutput, {"scales": (8, 16)}, "scales .* must be given for each bottom; expected 1"),
    Wrong(layers.Yolov3DetectionOutput, {"confidence_threshold": "0"}, "confidence_threshold must be a number"),
    Wrong(layers.Yolov3DetectionOutput, {"nms_threshold": None}, "nms_threshold must be a number; received None"),
    *class_loss(losses.SoftmaxWithLoss),
    *class_loss(losses.Infogain),
    Wrong(losses.Infogain, {"matrix": [[1, 0], [1]]}, "matrix must be K rows of K numbers"),
    Wrong(losses.Infogain, {"matrix": [[1, 0]]}, r"matrix must be K rows of K numbers; received shape \(1, 2"),
    Wrong(losses.SigmoidCrossEntropy, {"ignore_label": "0"}, "ignore_label must be a whole number; received '0'"),
    Wrong(losses.SigmoidCrossEntropy, {"normalization": None}, "unknown normalization; .* received None"),
    Wrong(losses.Hinge, {"norm": "L3"}, "unknown norm; expected one of L1, L2; received 'L3'"),
    Wrong(losses.Contrastive, {"margin": "1"}, "margin must be a number; received '1'"),
    Wrong(losses.Contrastive, {"legacy_version": "no"}, "legacy_version must be True or False; received 'no'"),
    Wrong(losses.SmoothL1, {"sigma": None}, "sigma must be a number; received None"),
    Wrong(losses.MultiBox, {"num_classes": 0}, "num_classes must be positive"),
    *multi_box(losses.MultiBox),
    Wrong(metrics.Accuracy, {"top_k": 0}, "top_k must be a whole number of at least 1; received 0"),
    Wrong(metrics.Accuracy, {"axis": "1"}, "axis must be a whole number; received '1'"),
    Wrong(metrics.Accuracy, {"ignore_label": 2.5}, "ignore_label must be a whole number; received 2.5"),
    Wrong(metrics.Accuracy, {"ties": "bvcl"}, "unknown ties; .*Did you mean 'bvlc'"),
    *[row for method in METHODS for row in optimizer(method)],
    Wrong(optimizers.SGD, {"momentum": "0.9"}, "momentum must be a number; received '0.9'", SolverError),
    Wrong(optimizers.Nesterov, {"momentum": None}, "momentum must be a number; received None", SolverError),
    Wrong(optimizers.AdaGrad, {"delta": "0"}, "delta must be a number; received '0'", SolverError),
    Wrong(optimizers.RMSProp, {"rms_decay": 1}, "rms_decay is out of range; expected 0 <= rms_decay < 1", SolverError),
    Wrong(optimizers.RMSProp, {"rms_decay": float("nan")}, "rms_decay is out of range", SolverError),
    Wrong(optimizers.RMSProp, {"delta": None}, "delta must be a number; received None", SolverError),
    Wrong(optimizers.AdaDelta, {"momentum": [0.9]}, r"momentum must be a number; received \[0.9\]", SolverError),
    Wrong(optimizers.AdaDelta, {"delta": "0"}, "delta must be a number; received '0'", SolverError),
    Wrong(optimizers.Adam, {"momentum": "0.9"}, "momentum must be a number; received '0.9'", SolverError),
    Wrong(optimizers.Adam, {"momentum2": None}, "momentum2 must be a number; received None", SolverError),
    Wrong(optimizers.Adam, {"delta": True}, "delta must be a number; received True", SolverError),
    *[Wrong(policy, {"base_lr": "x"}, "base_lr must be a number; received 'x'", SolverError) for policy in POLICIES],
    *[
        Wrong(policy, {"gamma": -1}, "gamma must be a number of at least 0; received -1", SolverError)
        for policy in DECAYING
    ],
    Wrong(optimizers.Step, {"stepsize": 0}, "stepsize must be a whole number of at least 1; received 0", SolverError),
    Wrong(optimizers.Inv, {"power": "1"}, "power must be a number; received '1'", SolverError),
    Wrong(optimizers.MultiStep, {"stepvalues": (2, 2.5)}, "stepvalues must be a whole number", SolverError),
    Wrong(optimizers.MultiStep, {"start": (1, 1, 1)}, "start must be two whole numbers", SolverError),
    Wrong(optimizers.Poly, {"power": None}, "power must be a number; received None", SolverError),
    Wrong(optimizers.Poly, {"max_iter": 0}, "max_iter must be a whole number of at least 1; received 0", SolverError),
    Wrong(optimizers.Sigmoid, {"stepsize": 0.5}, "stepsize must be a whole number of at least 1", SolverError),
    Wrong(optimizers.Plateau, {"winsizes": ("2",)}, "winsizes must be a whole number; received '2'", SolverError),
    Wrong(optimizers.Plateau, {"average_loss": 0}, "average_loss must be a whole number of at least 1", SolverError),
]

TWO = np.int64(2)
HE = initializers.HeNormal(seed=1)
SAME = [
    Same(layers.Accuracy, {"top_k": TWO, "ties": "SSD", "ignore_label": TWO}, {"top_k": 2, "ties": "ssd"}),
    Same(layers.ArgMax, {"axis": np.int8(-1), "out_max_val": 1}, {"axis": -1, "out_max_val": True}),
    Same(layers.BatchNorm, {"use_global_stats": np.True_, "eps": 1}, {"use_global_stats": True, "eps": 1.0}),
    Same(layers.BatchNorm, {}, {"scale_filler": {"type": "constant", "value": 1.0}}),
    Same(layers.Bias, {"axes": TWO}, {"axes": (2,)}),
    Same(layers.BN, {"statistics": "Batch", "momentum": np.float64(0.5)}, {"statistics": "batch", "momentum": 0.5}),
    Same(layers.Clip, {"min": np.float32(-0.5)}, {"min": -0.5, "max": 1.0}),
    Same(layers.Convolution, {"num_output": TWO, "kernel_size": 3}, {"num_output": 2, "kernel_size": (3, 3)}),
    Same(layers.Convolution, {"kernel_size": np.array([3, 1, 1])}, {"kernel_size": (3, 1, 1), "stride": (1, 1, 1)}),
    Same(layers.Convolution, {"stride": TWO, "pad": [1, 1]}, {"stride": (2, 2), "pad": (1, 1)}),
    Same(layers.Convolution, {"bias_term": np.False_, "dilation": 2}, {"bias_term": False, "dilation": (2, 2)}),
    Same(layers.Convolution, {"weight_filler": "Xavier"}, {"weight_filler": {"type": "xavier"}}),
    Same(layers.Convolution, {"weight_filler": {"std": 1}}, {"weight_filler": {"type": "constant", "std": 1.0}}),
    Same(layers.Convolution, {"weight_filler": HE}, {"weight_filler": initializers.serialize(HE)}),
    Same(layers.Convolution, {"bias_term": 0, "bias_filler": "?"}, {"bias_term": False}),
    Same(layers.Eltwise, {"operation": "max", "coeff": np.ones(2)}, {"operation": "MAX", "coeff": (1.0, 1.0)}),
    Same(layers.Crop, {"axes": np.array([1, 2]), "offset": 3}, {"axes": (1, 2), "offset": (3, 3)}),
    Same(layers.Crop, {"axes": 1}, {"axes": (1,), "offset": (0,)}),
    Same(layers.DetectionOutput, {"code_type": "center_size", "top_k": TWO}, {"code_type": "CENTER_SIZE", "top_k": 2}),
    Same(layers.Dropout, {"dropout_ratio": 0, "seed": TWO}, {"dropout_ratio": 0.0, "seed": 2}),
    Same(layers.Filter, {"axes": 0}, {"axes": (0,)}),
    Same(layers.HingeLoss, {"norm": "l2"}, {"norm": "L2"}),
    Same(layers.Im2col, {}, {"kernel_size": (1, 1), "stride": (1, 1), "pad": (0, 0), "dilation": (1, 1)}),
    Same(layers.Im2col, {"kernel_size": TWO, "pad": 1}, {"kernel_size": (2, 2), "pad": (1, 1), "stride": (1, 1)}),
    Same(layers.InfogainLoss, {"normalization": "full", "matrix": np.eye(2)}, {"matrix": [[1.0, 0.0], [0.0, 1.0]]}),
    Same(layers.InnerProduct, {"num_output": TWO, "transpose": np.True_}, {"num_output": 2, "transpose": True}),
    Same(layers.Interp, {"size": 5, "zoom_factor": TWO}, {"size": (5, 5), "zoom_factor": 2}),
    Same(layers.L2Norm, {"axes": [1, TWO]}, {"axes": (1, 2)}),
    # l to z
    Same(layers.Log, {"base": np.float32(2), "shift": 1}, {"base": 2.0, "shift": 1.0}),
    Same(layers.LRN, {"norm_region": "within_channel"}, {"norm_region": "WITHIN_CHANNEL"}),
    Same(layers.LRN, {"local_size": np.int32(3), "k": 2}, {"local_size": 3, "k": 2.0}),
    Same(layers.Pooling, {"pool": "max", "kernel_size": TWO}, {"pool": "MAX", "kernel_size": (2, 2)}),
    Same(layers.Pooling, {"pool": "Ave", "round_mode": "floor"}, {"pool": "AVE", "round_mode": "FLOOR"}),
    Same(layers.LSTM, {"num_output": TWO, "expose_hidden": 1}, {"num_output": 2, "expose_hidden": True}),
    Same(layers.MVN, {"axes": -1, "normalize_variance": np.False_}, {"axes": (3,), "normalize_variance": False}),
    Same(layers.MultiBoxLoss, {"mining_type": "none", "parts": True}, {"mining_type": "NONE", "parts": (True, True)}),
    Same(layers.MultiBoxLoss, {"loc_weight": 2, "top_k": TWO}, {"loc_weight": 2.0, "top_k": 2}),
    Same(layers.Parameter, {"shape": 3}, {"shape": (3,)}),
    Same(layers.Permute, {"order": np.array([1, 0])}, {"order": (1, 0)}),
    Same(layers.PriorBox, {"min_size": 30, "step": 8}, {"min_size": (30.0,), "step": (8.0, 8.0)}),
    Same(layers.PriorBox, {"img_size": 300, "variance": 0.1}, {"img_size": (300, 300), "variance": (0.1,)}),
    Same(layers.Proposal, {"ratio": 1, "scale": [8]}, {"ratio": (1.0,), "scale": (8.0,)}),
    Same(layers.Reduction, {"operation": "sumsq", "axes": 1}, {"operation": "SUMSQ", "axes": (1,)}),
    Same(layers.Reshape, {"dim": 6}, {"dim": (6,)}),
    Same(layers.SPP, {"pool": "ave"}, {"pool": "AVE"}),
    Same(layers.Scale, {"axes": 1}, {"axes": (1,), "filler": {"type": "constant", "value": 1.0}}),
    Same(layers.SigmoidCrossEntropyLoss, {"normalization": "full"}, {"normalization": "FULL", "ignore_label": None}),
    Same(layers.Slice, {"slice_point": 3}, {"num_tops": 2, "slice_point": (3,)}),
    Same(layers.SmoothL1Loss, {"definition": "RCNN", "sigma": 3}, {"definition": "rcnn", "sigma": 3.0}),
    Same(layers.SoftmaxWithLoss, {"normalization": "valid", "ignore_label": TWO}, {"ignore_label": 2}),
    Same(layers.Upsample, {"scale": 3, "size": 7}, {"scale": (3, 3), "size": (7, 7), "pad_out": (False, False)}),
    Same(layers.Yolov3DetectionOutput, {"anchors": [np.ones((1, 2))]}, {"anchors": [[(1.0, 1.0)]], "scales": (32.0,)}),
    Same(losses.SoftmaxWithLoss, {"normalization": "valid"}, {"normalization": "VALID"}),
    Same(losses.Infogain, {"matrix": np.eye(2)}, {"matrix": [[1.0, 0.0], [0.0, 1.0]]}),
    Same(losses.Hinge, {"norm": "l2"}, {"norm": "L2"}),
    Same(losses.MultiBox, {"code_type": "center_size"}, {"code_type": "CENTER_SIZE", "num_classes": 4}),
    Same(metrics.Accuracy, {"ties": "SSD", "top_k": TWO}, {"ties": "ssd", "top_k": 2}),
    Same(optimizers.SGD, {"regularization_type": "l1", "weight_decay": None}, {"regularization_type": "L1"}),
    Same(optimizers.SGD, {"learning_rate": 1, "momentum": 0}, {"learning_rate": 1.0, "momentum": 0.0}),
    Same(optimizers.Adam, {"multipliers": {"a": (2, 0)}}, {"multipliers": {"a": [2.0, 0.0]}}),
]

ABSTRACT = {optimizers.CaffeOptimizer, optimizers.Policy}  # only their subclasses are made


NOT_OWN = {"self", "dtype", "name", "reduction", "fields"}  # what Keras checks, and what losses hand to their base


def names(cls: type) -> set[str]:
    """The arguments of the constructor; where it hands on `**kwargs`, also those of its base class."""
    found: set[str] = set()
    for base in cls.__mro__:
        if "__init__" in vars(base) and base is not CaffeLayer and base.__module__.startswith("keras_caffe"):
            parameters = inspect.signature(base.__init__).parameters.values()
            found |= {p.name for p in parameters if p.kind is not p.VAR_KEYWORD} - NOT_OWN
            if not any(p.kind is p.VAR_KEYWORD for p in parameters):
                break
    return found


def classes() -> dict[str, type]:
    """Everything with a constructor that the package offers: layers but data layers, losses, metrics, optimizers."""
    found = {cls.__name__: cls for cls in registry.registered().values() if not issubclass(cls, SourceLayer)}
    found["LossWeight"] = LossWeight  # no Caffe type has this name: the converter adds it
    for module in (losses, metrics, optimizers):
        offered = [getattr(module, name) for name in module.__all__]
        room = module.__name__.split(".")[-1]
        found |= {f"{room}.{cls.__name__}": cls for cls in offered if cls not in ABSTRACT}
    return found


EXAMPLES = {type(case.layer): case.layer for cases in declared().values() for case in cases if case.layer}
WRONG += [
    Wrong(type(case.layer), dict(arguments), match)
    for cases in declared().values()
    for case in cases
    for arguments, match in case.refused
]


def needed(cls: type) -> dict[str, Any]:
    """What a class cannot be made without, from `NEEDED` or from the layer in its `Case`."""
    parameters = inspect.signature(cls.__init__).parameters.items()
    missing = {name for name, p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD} - {"self"}
    return NEEDED.get(cls) or ({n: EXAMPLES[cls].get_config()[n] for n in missing} if missing else {})


def make(cls: type, arguments: dict[str, Any]) -> Any:
    return cls(**{**needed(cls), **arguments})


@pytest.mark.parametrize("row", WRONG, ids=lambda row: f"{row.cls.__name__}-{row.arguments}")
def test_refused(row: Wrong) -> None:
    with pytest.raises(row.error, match=row.match) as caught:
        make(row.cls, row.arguments)
    assert type(caught.value) is row.error


FILLERS = [
    ({"type": "uniform", "min": 1, "max": 0}, "a uniform filler has min > max; received min 1.0, max 0.0"),
    ({"type": "gaussian", "std": 0}, "a gaussian filler needs a positive std; received 0.0"),
    ({"type": "xavier", "sparse": 2}, "filler 'xavier' cannot be sparse"),
    ({"type": "gaussian", "sparse": 1.5}, "sparse of weight_filler must be a whole number; received 1.5"),
    ({"type": "gaussian", "sdt": 1}, r"unknown field of weight_filler; .*Did you mean 'std'\?"),
    ({"type": "msra", "variance_norm": "OUT"}, "unknown variance_norm of weight_filler; expected one of FAN_IN"),
    ({"seed": 1.5}, "seed of weight_filler must be a whole number of at least 0; received 1.5"),
    ({"value": "1"}, "value of weight_filler must be a number; received '1'"),
]


@pytest.mark.parametrize(("filler", "match"), FILLERS)
def test_refused_fillers(filler: dict[str, Any], match: str) -> None:
    with pytest.raises(LayerError, match=match):
        make(layers.Convolution, {"weight_filler": filler})


def spelling(row: Same) -> str:
    """The row's name, the same in every process: without the addresses of objects."""
    return f"{row.cls.__name__}-{re.sub(r' object at 0x[0-9a-f]+', '', str(row.given))}"


@pytest.mark.parametrize("row", SAME, ids=spelling)
def test_spellings_that_mean_the_same(row: Same) -> None:
    config = make(row.cls, {**row.given, "name": "x"}).get_config()
    assert config == make(row.cls, {**row.given, **row.canonical, "name": "x"}).get_config()
    assert row.canonical.items() <= config.items()
    assert row.cls.from_config(config).get_config() == config


ODD = [
    None,
    "",
    b"x",
    -1,
    1.5,
    10**12,
    float("nan"),
    1j,
    (),
    (1, 2, 3),
    {"a": 1},
    object(),
    [None],
    [[1, 2], [3]],
    range(2),
]
ODD += [np.array(2), np.array([1, 2]), np.float32(0.5), [[1.0]], {}]


@pytest.mark.parametrize("name", sorted(classes()))
def test_any_value_is_taken_and_kept_or_refused_with_our_error(name: str) -> None:
    cls = classes()[name]
    for argument in sorted(names(cls)):
        for value in ODD:
            try:
                config = make(cls, {argument: value}).get_config()
            except CaffeError:
                continue
            except Exception as error:
                raise AssertionError(f"{name}({argument}={value!r}) raises {error!r}") from error
            again = cls.from_config(config).get_config()
            assert json.dumps(again) == json.dumps(config), f"{name}({argument}={value!r})"


@pytest.mark.parametrize("name", sorted(classes()))
def test_every_argument_of_every_class_has_a_row(name: str) -> None:
    cls = classes()[name]
    refused = {argument for row in WRONG if row.cls is cls for argument in row.arguments}
    missing = names(cls) - refused
    test = f"tests/layers/test_{cls.__module__.rpartition('.')[2]}.py"
    where = (
        f"{test}, `refused` of its Case" if name in registry.registered() else "tests/layers/test_arguments.py, WRONG"
    )
    assert not missing, f"{where}: write wrong values for {sorted(missing)} of {name}, and what the error says"


def test_rows_name_what_is_there() -> None:
    assert {row.cls for row in WRONG} <= set(classes().values())
