"""What the passes over Scale layers share: which layers they know, and how a scale meets a weight blob."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from keras_caffe import proto
from keras_caffe.converters.graph import Node
from keras_caffe.converters.trained import Trained
from keras_caffe.shapes import canonical_axis

PARAMS = {
    "Convolution": "convolution_param",
    "ConvolutionDepthwise": "convolution_param",
    "DepthwiseConvolution": "convolution_param",
    "Deconvolution": "convolution_param",
    "InnerProduct": "inner_product_param",
}
"""The layers that are linear along axis 1, and the field that holds their bias_term."""


def is_scale(trained: Trained, node: Node) -> bool:
    """Whether a node multiplies, and perhaps shifts, axis 1 by numbers it has learned."""
    blobs = trained.blobs[node.index]
    return (
        node.type == "Scale"
        and trained.is_chain(node)
        and blobs[0].ndim == 1
        and canonical_axis(node.message.scale_param.axis, len(trained.shapes[node.inputs[0]])) == 1
    )


def is_linear(trained: Trained, node: Node) -> bool:
    """Whether a node is a convolution or inner product whose channels are axis 1 before and after."""
    if node.type not in PARAMS or not trained.is_chain(node):
        return False
    rank = len(trained.shapes[node.inputs[0]])
    return canonical_axis(getattr(node.message, PARAMS[node.type]).axis, rank) == 1


def factors(trained: Trained, node: Node) -> tuple[np.ndarray, np.ndarray]:
    """Factor and shift of a Scale for each channel, in float64; without a bias the shift is 0."""
    scale, *shift = (blob.astype("float64") for blob in trained.blobs[node.index])
    return scale, shift[0] if shift else np.zeros_like(scale)


def weights(trained: Trained, node: Node) -> tuple[np.ndarray, np.ndarray | None]:
    """Weights of a linear node as (outputs, inputs / group, ...), in float64, and its bias if it has one."""
    weight, *bias = (blob.astype("float64") for blob in trained.blobs[node.index])
    return _view(trained, node)(weight), bias[0] if bias else None


def linear_layer(
    trained: Trained, node: Node, weight: np.ndarray, bias: np.ndarray | None
) -> tuple[proto.LayerParameter, list[np.ndarray]]:
    """The node's layer with other weights, given as `weights` gives them, and a bias unless that is None."""
    layer = proto.LayerParameter()
    layer.CopyFrom(node.message)
    getattr(layer, PARAMS[node.type]).bias_term = bias is not None
    blobs = [_view(trained, node)(weight), *([] if bias is None else [bias])]
    return layer, [np.ascontiguousarray(blob, "float32") for blob in blobs]


def _view(trained: Trained, node: Node) -> Callable[[np.ndarray], np.ndarray]:
    """Turns the node's weight blob to (outputs, inputs / group, ...) and, called again, back."""
    if node.type == "InnerProduct":
        return np.transpose if node.message.inner_product_param.transpose else lambda weight: weight
    if node.type != "Deconvolution":
        return lambda weight: weight
    shape = trained.blobs[node.index][0].shape
    outputs = trained.shapes[node.outputs[0]][1]
    group = (outputs or 1) // shape[1]

    def swap(weight: np.ndarray) -> np.ndarray:  # (group a, b, ...) <-> (group b, a, ...)
        first, second, *kernel = weight.shape
        split = weight.reshape(group, first // group, second, *kernel)
        return split.swapaxes(1, 2).reshape(group * second, first // group, *kernel)

    return swap
