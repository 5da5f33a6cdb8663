"""Writes every affine map per channel with stored numbers as a Scale layer, which the later passes know.

Before: BatchNorm(mean, variance, factor)           After: Scale(s, t), s = 1 / sqrt(variance / factor + eps),
                                                            t = -mean / factor s
Before: BN(slope, bias, mean, variance)             After: Scale(s, t), s = slope / sqrt(variance + eps),
                                                            t = bias - mean s
Before: Bias(b)                                     After: Scale(1, b)

A BatchNorm that takes the batch's statistics in inference too (`use_global_stats: false`) stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from keras_caffe import proto
from keras_caffe.converters.graph import Node
from keras_caffe.converters.trained import Edit, Trained
from keras_caffe.layers.bn_forks import MIN_EPS, definition, keeps_averages, parameters
from keras_caffe.shapes import canonical_axis

Affine = tuple[np.ndarray, np.ndarray]


def run(trained: Trained) -> Trained:
    edit = Edit(trained)
    for node in trained.net.nodes:
        if node.type in AFFINE and trained.is_chain(node) and len(trained.shapes[node.inputs[0]]) > 1:
            blobs = [blob.astype("float64") for blob in trained.blobs[node.index]]
            factors = AFFINE[node.type](node, blobs, len(trained.shapes[node.inputs[0]]))
            if factors is not None:
                edit.replace(node, scale_layer(node.name), [array.astype("float32") for array in factors])
    return edit.done()


def scale_layer(name: str) -> proto.LayerParameter:
    """A Scale along axis 1 with a bias."""
    return proto.LayerParameter(name=name, type="Scale", scale_param={"bias_term": True})


def _batch_norm(node: Node, blobs: Sequence[np.ndarray], rank: int) -> Affine | None:
    param = node.message.batch_norm_param
    mean, variance, factor, *learned = blobs
    if keeps_averages(param):
        return _normal(mean, variance, max(np.float32(param.eps), np.float32(MIN_EPS)), *learned)
    if param.HasField("use_global_stats") and not param.use_global_stats:
        return None
    scale = 0.0 if factor[0] == 0 else 1 / factor[0]
    return _normal(mean * scale, variance * scale, np.float32(param.eps), *learned)


def _bn(node: Node, blobs: Sequence[np.ndarray], rank: int) -> Affine | None:
    params = parameters(node.message, definition(node.message))
    slope, bias, *statistics = (blob.ravel() for blob in blobs)
    axis = node.message.bn_param.axis if definition(node.message) == "pspnet-old" else 1
    if params["statistics"] == "batch" or axis != 1:
        return None
    if not statistics:
        return slope, bias
    mean, variance = statistics
    return _normal(mean, variance, np.float32(params["eps"]), slope, bias)


def _bias(node: Node, blobs: Sequence[np.ndarray], rank: int) -> Affine | None:
    (bias,) = blobs
    at_channels = bias.ndim == 1 and canonical_axis(node.message.bias_param.axis, rank) == 1
    return (np.ones_like(bias), bias) if at_channels else None


def _normal(mean: np.ndarray, variance: np.ndarray, eps: np.float32, *learned: np.ndarray) -> Affine:
    slope, bias = learned or (1.0, 0.0)
    scale = slope / np.sqrt(variance + np.float64(eps))
    return scale, bias - mean * scale


AFFINE: dict[str, Callable[[Node, Sequence[np.ndarray], int], Affine | None]] = {
    "BatchNorm": _batch_norm,
    "BN": _bn,
    "Bias": _bias,
}
