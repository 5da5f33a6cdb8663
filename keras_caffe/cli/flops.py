"""How much a layer computes. An addition, a multiplication, a comparison and a function's value count as one each."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from keras_caffe.converters.infer import Plan, PlannedLayer
from keras_caffe.ops import convolution
from keras_caffe.shapes import count

MOVES_ONLY = {
    *("BatchReindex", "Concat", "ContinuationIndicator", "Crop", "Dropout", "Embed", "Filter", "Flatten"),
    *("HDF5Output", "Im2col", "Parameter", "Permute", "PriorBox", "Reorg", "Reshape", "ShuffleChannel", "Silence"),
    *("Slice", "Split", "Tile"),
}
PER_TOP_VALUE = {
    **dict.fromkeys(("AbsVal", "BNLL", "Bias", "Clip", "ELU", "Exp", "Log", "PReLU", "Power", "ReLU", "ReLU6"), 1),
    **dict.fromkeys(("Sigmoid", "Swish", "TanH", "Threshold"), 1),
    **dict.fromkeys(("Axpy", "BN"), 2),
    **dict.fromkeys(("L2Norm", "Normalize"), 3),  # square, sum, product
    "Softmax": 5,  # maximum, difference, exp, sum, quotient
}
PER_BOTTOM_VALUE = {
    **dict.fromkeys(("Accuracy", "ArgMax", "Reduction"), 1),
    "EuclideanLoss": 3,  # difference, square, sum
    "SoftmaxWithLoss": 5,
}


def flops(plan: Plan, step: PlannedLayer) -> int | None:
    """Operations of one forward pass of a layer over the batch that the net declares; None if no rule is known."""
    kind = step.node.type
    if kind in MOVES_ONLY:
        return 0
    if kind in PER_TOP_VALUE:
        return PER_TOP_VALUE[kind] * _values(plan, step.node.outputs)
    if kind in PER_BOTTOM_VALUE:
        return PER_BOTTOM_VALUE[kind] * _values(plan, step.node.inputs[:1])
    return RULES[kind](plan, step) if kind in RULES else None


def _values(plan: Plan, values: Iterable[str]) -> int:
    return sum(count(plan.shapes[value]) or 0 for value in values)


def _weighted(plan: Plan, step: PlannedLayer) -> int:
    """Every weight is multiplied and added once at each position of the top."""
    return _products(plan, step, step.node.outputs, step.layer.num_output)


def _weighted_adjoint(plan: Plan, step: PlannedLayer) -> int:
    """... and of a deconvolution at each position of the bottom."""
    return _products(plan, step, step.node.inputs, step.blobs[0].shape[0])


def _products(plan: Plan, step: PlannedLayer, values: Iterable[str], channels: int) -> int:
    weights = convolution.flops(step.blobs[0].shape, [_values(plan, values) // channels])
    return weights + (_values(plan, step.node.outputs) if step.layer.bias_term else 0)


def _pooling(plan: Plan, step: PlannedLayer) -> int:
    if step.layer.global_pooling:
        return _values(plan, step.node.inputs)
    height, width = step.layer.kernel_size
    return height * width * _values(plan, step.node.outputs[:1])


def _lrn(plan: Plan, step: PlannedLayer) -> int:
    """Square, sum of the neighbours, factor, offset, power, product."""
    size = step.layer.local_size
    neighbours = size if step.layer.norm_region == "ACROSS_CHANNELS" else size * size
    return (neighbours + 4) * _values(plan, step.node.outputs)


def _eltwise(plan: Plan, step: PlannedLayer) -> int:
    factors = sum(c != 1 for c in step.layer.coeff)
    return (len(step.node.inputs) - 1 + factors) * _values(plan, step.node.outputs)


def _batch_norm(plan: Plan, step: PlannedLayer) -> int:
    return (4 if step.layer.scale_bias else 2) * _values(plan, step.node.outputs)


def _scale(plan: Plan, step: PlannedLayer) -> int:
    return (2 if step.layer.bias_term else 1) * _values(plan, step.node.outputs)


RULES: dict[str, Callable[[Plan, PlannedLayer], int]] = {
    "BatchNorm": _batch_norm,
    "Convolution": _weighted,
    "ConvolutionDepthwise": _weighted,
    "Deconvolution": _weighted_adjoint,
    "DepthwiseConvolution": _weighted,
    "Eltwise": _eltwise,
    "InnerProduct": _weighted,
    "LRN": _lrn,
    "Pooling": _pooling,
    "Scale": _scale,
}
