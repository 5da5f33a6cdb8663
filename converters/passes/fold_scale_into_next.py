"""Multiplies a Scale into the convolution or inner product that alone reads it.

Before: x -> Scale(s, t) -> Convolution(w, b) -> y      After: x -> Convolution(w s, b + sum over inputs of w t) -> y

So also InnerProduct and Deconvolution. s and t go with the input channels of w. With a shift it is exact only if every
output sees all of its taps: not with padding, and not for a Deconvolution.
"""

from __future__ import annotations

import numpy as np

from keras_caffe.converters.graph import Node
from keras_caffe.converters.scales import factors, is_linear, is_scale, linear_layer, weights
from keras_caffe.converters.trained import Edit, Trained
from keras_caffe.layers.spatial import stated_dilation


def run(trained: Trained) -> Trained:
    edit = Edit(trained)
    for scale in trained.net.nodes:
        if not is_scale(trained, scale):
            continue
        node = trained.only_reader(scale.outputs[0])
        if node is None or not is_linear(trained, node) or edit.touched(scale, node) or not edit.can_drop(scale):
            continue
        (s, t), (weight, bias) = factors(trained, scale), weights(trained, node)
        if t.any() and not _sees_all_taps(trained, node):
            continue
        s, t = _per_input(s, weight), _per_input(t, weight)
        shift = (weight * t).reshape(len(weight), -1).sum(1) + (0 if bias is None else bias)
        edit.drop(scale)
        edit.replace(node, *linear_layer(trained, node, weight * s, shift if bias is not None or t.any() else None))
    return edit.done()


def _per_input(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """One number a channel, spread so that it multiplies (outputs, inputs / group, ...)."""
    outputs, inputs, *kernel = weight.shape
    if not kernel:  # An inner product: a channel is a run of its inputs.
        return np.repeat(values, inputs // len(values))
    groups = values.reshape(-1, inputs)
    return np.repeat(groups, outputs // len(groups), axis=0).reshape(outputs, inputs, *[1] * len(kernel))


def _sees_all_taps(trained: Trained, node: Node) -> bool:
    if node.type == "InnerProduct":
        return True
    if node.type == "Deconvolution":
        return False
    param, kernel = node.message.convolution_param, trained.blobs[node.index][0].shape[2:]
    spread = stated_dilation(param, len(kernel))
    sizes = trained.shapes[node.inputs[0]][2:]
    fits = all(n is not None and n > d * (k - 1) for n, k, d in zip(sizes, kernel, spread, strict=True))
    return fits and not (any(param.pad) or param.pad_h or param.pad_w)
