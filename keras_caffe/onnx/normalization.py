"""Layers that normalise, scale and shift."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_caffe import layers
from keras_caffe.layers.normalize import NormalizeChannels
from keras_caffe.onnx.graph import Operand, Tensor
from keras_caffe.onnx.registry import writes
from keras_caffe.onnx.site import Site


@writes(layers.BatchNorm, precise=True)
def batch_norm(site: Site, x: Tensor) -> Tensor:
    layer = site.layer
    if layer.use_global_stats is False:
        return _by_batch(site, x)
    mean, variance, factor = (site.values(index) for index in range(3))
    if layer.statistics == "sums":
        scale = np.float32(1 / factor[0] if factor[0] else 0)
        mean, variance = mean * scale, variance * scale
    slope, bias = _learned(site) if layer.scale_bias else (np.ones_like(mean), np.zeros_like(mean))
    if site.rank > 1:
        blobs = {"scale": slope, "bias": bias, "mean": mean, "variance": variance}
        named = [_weight(site, name, values) for name, values in blobs.items()]
        return site.op("BatchNormalization", x, *named, epsilon=layer.eps)
    factor = (slope / np.sqrt(variance + np.float32(layer.eps))).astype("float32")
    return site.op("Add", site.op("Mul", site.op("Sub", x, mean), factor), bias)


def _weight(site: Site, name: str, values: np.ndarray) -> Tensor:
    return site.graph.weight(f"{site.planned.node.name}/{name}", np.asarray(values, "float32"))


def _learned(site: Site) -> tuple[np.ndarray, np.ndarray]:
    """NVCaffe's further blobs."""
    return site.values(3), site.values(4)


def _by_batch(site: Site, x: Tensor) -> Tensor:
    """With the batch's own statistics."""
    y = _whitened(site, x, [axis for axis in range(site.rank) if axis != 1], site.layer.eps)
    if not site.layer.scale_bias:
        return y
    slope, bias = (site.along(blob, 1) for blob in _learned(site))
    return site.op("Add", site.op("Mul", y, slope), bias)


def _whitened(site: Site, x: Tensor, axes: Sequence[int], eps: float) -> Tensor:
    """(x - mean) / sqrt(variance + eps)."""
    centred, variance = moments(site, x, axes)
    return site.op("Div", centred, site.op("Sqrt", site.op("Add", variance, float(eps))))


def moments(site: Site, x: Tensor, axes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """x - mean, and the biased variance."""
    centred = site.op("Sub", x, site.reduce("ReduceMean", x, axes))
    return centred, site.reduce("ReduceMean", site.op("Mul", centred, centred), axes)


@writes(layers.BN, precise=True)
def bn(site: Site, x: Tensor) -> Sequence[Tensor]:
    layer, axis = site.layer, site.axis(site.layer.axis)
    slope, bias = (site.along(site.values(index), axis) for index in range(2))
    if layer.statistics == "none":
        return [site.op("Add", site.op("Mul", x, slope), bias)]
    if layer.statistics in ("moving", "phase"):
        mean, spread = (site.along(site.values(index), axis) for index in (2, 3))
        factor = slope / np.sqrt(spread + np.float32(layer.eps))
        return [site.op("Add", site.op("Mul", site.op("Sub", x, mean), factor.astype("float32")), bias)]
    axes = [a for a in range(site.rank) if a != axis]
    centred, variance = moments(site, x, axes)
    y = site.op("Div", centred, site.op("Sqrt", site.op("Add", variance, float(layer.eps))))
    statistics = [site.reduce("ReduceMean", x, axes), variance][: layer.more_tops]
    more = [site.op("Reshape", one, [1, -1, 1, 1]) for one in statistics]
    return [site.op("Add", site.op("Mul", y, slope), bias), *more]


@writes(layers.Scale)
def scale(site: Site, x: Tensor, by: Tensor | None = None) -> Tensor:
    learned = by is None
    y = site.op("Mul", x, _spread(site, 0) if by is None else _spread_tensor(site, by))
    return site.op("Add", y, _spread(site, int(learned))) if site.layer.bias_term else y


@writes(layers.Bias)
def bias(site: Site, x: Tensor, by: Tensor | None = None) -> Tensor:
    return site.op("Add", x, _spread(site, 0) if by is None else _spread_tensor(site, by))


@writes(layers.EltwiseAffine)
def eltwise_affine(site: Site, x: Tensor) -> Tensor:
    axis = site.axis(site.layer.axis)
    slope, bias = (values if site.layer.channel_shared else site.along(values, axis) for _, values in site.weights)
    (of_slope, _), (of_bias, _) = site.weights
    return site.op("Add", site.op("Mul", x, site.graph.weight(of_slope, slope)), site.graph.weight(of_bias, bias))


def _spread(site: Site, index: int) -> Operand:
    """A blob over the axes that it covers: its sizes, then ones; Caffe's blobs cover axes that follow each other."""
    name, values = site.weights[index]
    last = max((site.axes(site.layer.axes)), default=site.rank - 1)
    return site.graph.weight(name, values.reshape((*values.shape, *[1] * (site.rank - 1 - last))))


def _spread_tensor(site: Site, by: Tensor) -> Tensor:
    last = max(site.axes(site.layer.axes), default=site.rank - 1)
    missing = site.rank - 1 - last
    return site.reshape(by, [*site.sizes(1), *[1] * missing]) if missing else by


@writes(layers.GroupNorm, precise=True)
def group_norm(site: Site, x: Tensor) -> Tensor:
    sizes = site.sizes()
    grouped = site.reshape(
        x, [sizes[0], site.layer.groups, site.calculate("Div", site.product(sizes[1:]), site.layer.groups)]
    )
    y = site.reshape(_standardized(site, grouped, [2]), sizes)
    if not site.layer.affine:
        return y
    scale, bias = (site.along(site.values(index), 1) for index in range(2))
    return site.op("Add", site.op("Mul", y, scale), bias)


@writes(layers.InstanceNorm, precise=True)
def instance_norm(site: Site, x: Tensor) -> Tensor:
    return _standardized(site, x, [2, 3])


def _standardized(site: Site, x: Tensor, axes: Sequence[int]) -> Tensor:
    centred, variance = moments(site, x, axes)
    return str(site.op("Div", centred, site.op("Sqrt", site.op("Add", variance, float(site.layer.eps)))))


@writes(layers.MVN, precise=True)
def mvn(site: Site, x: Tensor) -> Tensor:
    layer = site.layer
    order = site.planned.orders[0]
    axes = sorted(order[axis] if len(order) == 4 else axis for axis in layer.axes)
    if site.rank < 4:
        x = site.reshape(x, [*site.sizes(), *[1] * (4 - site.rank)])
    if not layer.normalize_variance:
        return site.op("Sub", x, site.reduce("ReduceMean", x, axes))
    centred, variance = moments(site, x, axes)
    return site.op("Div", centred, site.op("Add", site.op("Sqrt", variance), float(layer.eps)))


@writes(layers.Normalize, precise=True)
def normalize(site: Site, x: Tensor) -> Tensor:
    layer = site.layer
    total = site.reduce("ReduceSum", site.op("Mul", x, x), range(1, site.rank) if layer.across_spatial else [1])
    norm = site.op("Sqrt", site.op("Add", total, float(layer.eps)))
    name, values = site.weights[0]
    wide = values if layer.channel_shared else site.along(values, 1)
    return site.op("Mul", site.op("Div", x, norm), site.graph.weight(name, wide))


@writes(NormalizeChannels, precise=True)
def normalize_channels(site: Site, x: Tensor) -> Sequence[Tensor]:
    x = site.reshape(x, [*site.sizes(), *[1] * (4 - site.rank)]) if site.rank < 4 else x
    if site.layer.normalize_type == "L1":
        norm = site.op("Add", site.reduce("ReduceSum", site.op("Abs", x), [1]), 1e-6)
    else:
        norm = site.op("Sqrt", site.op("Add", site.reduce("ReduceSum", site.op("Mul", x, x), [1]), 1e-6))
    return [site.op("Div", x, norm), norm][: 1 + site.layer.with_norm]


@writes(layers.L2Norm, precise=True)
def l2_norm(site: Site, x: Tensor) -> Tensor:
    total = site.reduce("ReduceSum", site.op("Mul", x, x), site.axes(site.layer.axes))
    return site.op("Div", x, site.op("Sqrt", site.where(site.op("Greater", total, 0.0), total, 1.0)))


@writes(layers.GRN, precise=True)
def grn(site: Site, x: Tensor) -> Tensor:
    total = site.reduce("ReduceSum", site.op("Mul", x, x), [site.axis(site.layer.axis)])
    return site.op("Div", x, site.op("Sqrt", site.op("Add", total, float(site.layer.bias))))


@writes(layers.Softmax)
def softmax(site: Site, x: Tensor) -> Tensor:
    return site.op("Softmax", x, axis=site.axis(site.layer.axis))
