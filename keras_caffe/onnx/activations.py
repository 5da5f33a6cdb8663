"""Layers that compute each value by itself, or with the other channels of its pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from keras_caffe import layers
from keras_caffe.layers.exp import log_base
from keras_caffe.onnx.graph import Tensor
from keras_caffe.onnx.registry import writes
from keras_caffe.onnx.site import Site


@writes(layers.ReLU)
def relu(site: Site, x: Tensor) -> Tensor:
    slope = site.layer.negative_slope
    return site.op("LeakyRelu", x, alpha=slope) if slope else site.op("Relu", x)


@writes(layers.NegReLU)
def neg_relu(site: Site, x: Tensor) -> Tensor:
    slope, turned = site.layer.negative_slope, site.op("Neg", x)
    return site.op("Neg", site.op("LeakyRelu", turned, alpha=slope) if slope else site.op("Relu", turned))


@writes(layers.NegSquare)
def neg_square(site: Site, x: Tensor) -> Tensor:
    return site.op("Neg", site.op("Mul", x, x))


@writes(layers.PReLU)
def prelu(site: Site, x: Tensor) -> Tensor:
    layer, (name, slope) = site.layer, site.weights[0]
    axis = site.axis(layer.axis)
    wide = (1,) if layer.channel_shared else (-1, *[1] * (site.rank - 1 - axis))
    return site.op("PRelu", x, site.graph.weight(name, slope.reshape(wide)))


@writes(layers.ReLU6)
def relu6(site: Site, x: Tensor) -> Tensor:
    slope = site.layer.negative_slope
    if not slope:
        return site.op("Clip", x, 0.0, 6.0)
    return site.op("Min", site.op("LeakyRelu", x, alpha=slope), 6.0)


@writes(layers.ELU)
def elu(site: Site, x: Tensor) -> Tensor:
    return site.op("Elu", x, alpha=site.layer.alpha)


@writes(layers.SeLu)
def selu(site: Site, x: Tensor) -> Tensor:
    return site.op("Selu", x, alpha=site.layer.alpha, gamma=site.layer.scale)


@writes(layers.RReLU, layers.Insanity)
def random_rectifier(site: Site, x: Tensor) -> Tensor:
    return site.op("LeakyRelu", x, alpha=1 / site.layer.divisor)


@writes(layers.Sigmoid)
def sigmoid(site: Site, x: Tensor) -> Tensor:
    return site.op("Sigmoid", x)


@writes(layers.HardSigmoid)
def hard_sigmoid(site: Site, x: Tensor) -> Tensor:
    return site.op("HardSigmoid", x, alpha=0.2, beta=0.5)


@writes(layers.HardSwish)
def hard_swish(site: Site, x: Tensor) -> Tensor:
    gate = site.op("Clip", site.op("Add", x, 3.0), 0.0, 6.0)
    return site.op("Div", site.op("Mul", x, gate), 6.0)


@writes(layers.Mul)
def mul(site: Site, x: Tensor, by: Tensor | None = None) -> Tensor:
    return site.op("Mul", x, site.weight(0) if by is None else by)


@writes(layers.MaskPooling)
def mask_pooling(site: Site, x: Tensor, mask: Tensor) -> Tensor:
    return site.op("Mul", x, mask)


@writes(layers.Div)
def div(site: Site, x: Tensor, by: Tensor) -> Tensor:
    return site.op("Div", x, by)


@writes(layers.ChannelScale)
def channel_scale(site: Site, x: Tensor, scale: Tensor) -> Tensor:
    return site.op("Mul", x, scale) if site.layer.do_forward else x


@writes(layers.TanH)
def tanh(site: Site, x: Tensor) -> Tensor:
    return site.op("Tanh", x)


@writes(layers.AbsVal)
def abs_val(site: Site, x: Tensor) -> Tensor:
    return site.op("Abs", x)


@writes(layers.BNLL)
def bnll(site: Site, x: Tensor) -> Tensor:
    return softplus(site, x)


def softplus(site: Site, x: Tensor) -> Tensor:
    """max(x, 0) + log(1 + e^-|x|), as Caffe computes it: OpenCV's Softplus is infinite from 89 on."""
    small = site.op("Exp", site.op("Neg", site.op("Abs", x)))
    return str(site.op("Add", site.op("Relu", x), site.op("Log", site.op("Add", small, 1.0))))


@writes(layers.Swish)
def swish(site: Site, x: Tensor) -> Tensor:
    return site.op("Mul", x, site.op("Sigmoid", scaled(site, x, site.layer.beta)))


@writes(layers.Mish)
def mish(site: Site, x: Tensor) -> Tensor:
    return site.op("Mul", x, site.op("Tanh", site.op("Softplus", x)))


@writes(layers.Clip)
def clip(site: Site, x: Tensor) -> Tensor:
    return site.op("Clip", x, float(site.layer.min), float(site.layer.max))


@writes(layers.Threshold)
def threshold(site: Site, x: Tensor) -> Tensor:
    return site.cast(site.op("Greater", x, float(site.layer.threshold)), "float")


@writes(layers.Power)
def power(site: Site, x: Tensor) -> Tensor:
    layer = site.layer
    y = shifted(site, scaled(site, x, layer.scale if layer.power else 0.0), layer.shift)
    if layer.power == 1:
        return y
    return site.op("Mul", y, y) if layer.power == 2 else site.op("Pow", y, float(layer.power))


@writes(layers.Exp)
def exp(site: Site, x: Tensor) -> Tensor:
    layer = site.layer
    y = site.op("Exp", scaled(site, x, log_base(layer.base) * layer.scale))
    return scaled(site, y, math.exp(log_base(layer.base) * layer.shift))


@writes(layers.ChannelNorm)
def channel_norm(site: Site, x: Tensor) -> Tensor:
    # Not ReduceL2, which OpenCV 4 leaves out over an axis of size 1.
    return site.op("Sqrt", site.reduce("ReduceSum", site.op("Mul", x, x), [1]))


@writes(layers.ExpMax)
def exp_max(site: Site, x: Tensor) -> Tensor:
    layer = site.layer
    below = site.op("Sub", x, site.reduce("ReduceMax", x, [1]))
    exponent = shifted(site, scaled(site, below, layer.scale), layer.shift)
    return site.op("Exp", scaled(site, exponent, log_base(layer.base)))


@writes(layers.Log)
def log(site: Site, x: Tensor) -> Tensor:
    layer = site.layer
    y = site.op("Log", shifted(site, scaled(site, x, layer.scale), layer.shift))
    return scaled(site, y, 1 / log_base(layer.base))


def scaled(site: Site, x: Tensor, factor: float) -> Tensor:
    return x if factor == 1 else site.op("Mul", x, float(factor))


def shifted(site: Site, x: Tensor, by: float) -> Tensor:
    return x if by == 0 else site.op("Add", x, float(by))


@writes(layers.Dropout)
def dropout(site: Site, x: Tensor) -> Tensor:
    return x


@writes(layers.LabelSpecificAdd)
def label_specific_add(site: Site, x: Tensor, labels: Tensor) -> Sequence[Tensor]:
    """It adds in training only."""
    layer = site.layer
    if not layer.with_bias:
        return [x]
    if layer.bias_base is not None:
        site.refuse("its second top counts the passes of training")
    return [x, site.graph.constant(np.asarray([layer.bias], "float32"))]
