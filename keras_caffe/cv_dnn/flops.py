"""How many operations `cv2.dnn.Net.getFLOPS` counts for a layer: OpenCV 4's convention, which has its own prices.

A sum costs as much as a product. Convolutions pay for all channels of their bottom, whatever their group, and layers
that OpenCV does not know cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

from keras_caffe import layers
from keras_caffe.converters.infer import PlannedLayer

Sizes = tuple[int, ...]
Shapes = Sequence[Sizes]
Count = Callable[[PlannedLayer, Shapes, Shapes], int]


def flops(planned: PlannedLayer, bottoms: Shapes, tops: Shapes) -> int:
    """What a layer costs.

    Args:
        planned: the layer.
        bottoms, tops: their shapes in Caffe's order, without open sizes.
    """
    count = COUNTS.get(type(planned.layer))
    return count(planned, bottoms, tops) if count else 0


def _each(price: int) -> Count:
    """So much for each value that it reads."""
    return lambda planned, bottoms, tops: price * sum(map(prod, bottoms))


def _power(planned: PlannedLayer, bottoms: Shapes, tops: Shapes) -> int:
    layer: Any = planned.layer
    return (2 if layer.power == 1 else 10) * prod(bottoms[0])


def _convolution(planned: PlannedLayer, bottoms: Shapes, tops: Shapes) -> int:
    window = prod(planned.blobs[0].shape[2:])
    return prod(tops[0]) * (2 * window * bottoms[0][1] + 1)


def _deconvolution(planned: PlannedLayer, bottoms: Shapes, tops: Shapes) -> int:
    channels, _, *window = planned.blobs[0].shape
    return 2 * channels * prod(window) * prod(bottoms[0])


def _product(planned: PlannedLayer, bottoms: Shapes, tops: Shapes) -> int:
    layer: Any = planned.layer
    return 3 * prod(planned.blobs[0].shape) // layer.num_output * prod(tops[0])


def _pooling(planned: PlannedLayer, bottoms: Shapes, tops: Shapes) -> int:
    layer: Any = planned.layer
    window = 1 if layer.global_pooling else prod(layer.kernel_size)
    return prod(tops[0]) * (window + (layer.pool != "MAX"))


def _lrn(planned: PlannedLayer, bottoms: Shapes, tops: Shapes) -> int:
    layer: Any = planned.layer
    size, (count, channels, *plane) = layer.local_size, bottoms[0]
    if layer.norm_region == "WITHIN_CHANNEL":
        return prod(bottoms[0]) * (2 * size**2 + 2)
    reach = (size - 1) // 2
    sliding = size + 2 * (channels - size) if reach < channels else 0
    return prod(plane) * (count * (2 * min(reach, channels) + 4 * channels) + sliding)


def _mvn(planned: PlannedLayer, bottoms: Shapes, tops: Shapes) -> int:
    layer: Any = planned.layer
    return 6 * prod(bottoms[0]) + 3 * prod(bottoms[0][: 2 if layer.normalize_variance else 1])


def _priors(planned: PlannedLayer, bottoms: Shapes, tops: Shapes) -> int:
    boxes = prod(tops[0]) // 8 // prod(bottoms[0][2:])
    return 4 * boxes * sum(prod(shape[2:]) for shape in bottoms)


def _regions(planned: PlannedLayer, bottoms: Shapes, tops: Shapes) -> int:
    return 2 * prod(tops[0])


COUNTS: Mapping[type, Count] = {
    layers.AbsVal: _each(1),
    layers.BNLL: _each(5),
    layers.BatchNorm: _each(3),
    layers.Convolution: _convolution,
    layers.ConvolutionDepthwise: _convolution,
    layers.Deconvolution: _deconvolution,
    layers.ELU: _each(2),
    layers.Eltwise: _each(1),
    layers.Exp: _each(3),
    layers.InnerProduct: _product,
    layers.LRN: _lrn,
    layers.Log: _each(1),
    layers.MVN: _mvn,
    layers.Mish: _each(3),
    layers.PReLU: _each(1),
    layers.PSROIPooling: _regions,
    layers.Pooling: _pooling,
    layers.Power: _power,
    layers.PriorBox: _priors,
    layers.ROIPooling: _regions,
    layers.ReLU: _each(1),
    layers.ReLU6: _each(2),
    layers.Reorg: _each(21),
    layers.Scale: _each(2),
    layers.Sigmoid: _each(3),
    layers.Softmax: _each(4),
    layers.Swish: _each(3),
    layers.TanH: _each(1),
}
