"""Multiplies a Scale into the convolution or inner product whose output it alone reads.

Before: x -> Convolution(w, b) -> Scale(s, t) -> y      After: x -> Convolution(s w, s b + t) -> y

So also Deconvolution and InnerProduct. s goes with the output channels of w.
"""

from __future__ import annotations

from keras_caffe.converters.scales import factors, is_linear, is_scale, linear_layer, weights
from keras_caffe.converters.trained import Edit, Trained


def run(trained: Trained) -> Trained:
    edit = Edit(trained)
    for node in trained.net.nodes:
        if not is_linear(trained, node):
            continue
        scale = trained.only_reader(node.outputs[0])
        if scale is None or not is_scale(trained, scale) or edit.touched(node, scale) or not edit.can_drop(scale):
            continue
        (s, t), (weight, bias) = factors(trained, scale), weights(trained, node)
        shift = s * (0 if bias is None else bias) + t
        wide = s.reshape(-1, *[1] * (weight.ndim - 1))
        edit.drop(scale)
        edit.replace(node, *linear_layer(trained, node, weight * wide, shift if bias is not None or t.any() else None))
    return edit.done()
