"""Layers that resize images or move their pixels apart, and windows laid out as channels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from keras_caffe import layers
from keras_caffe.onnx.convolutions import convolved, spread
from keras_caffe.onnx.graph import Tensor
from keras_caffe.onnx.pooling import average_pool, max_pool, stochastic_pool
from keras_caffe.onnx.registry import writes
from keras_caffe.onnx.site import Length, Site


@writes(layers.Interp)
def interp(site: Site, x: Tensor) -> Tensor:
    layer, (batch, channels, *sizes) = site.layer, site.sizes()
    inner = [site.calculate("Add", size, layer.pad_beg + layer.pad_end) for size in sizes]
    for axis, size in enumerate(sizes, 2):
        if layer.pad_beg or layer.pad_end:
            x = site.slice(x, axis, -layer.pad_beg, site.calculate("Add", size, layer.pad_end))
    wanted = layer.size or [_interpolated(site, size) for size in inner]
    if list(wanted) == inner:
        return x
    if inner[0] == 1:  # OpenCV 5 reads beyond a single row.
        x = site.op("Concat", x, x, axis=2)
    target = site.vector([batch, channels, *wanted])
    return site.op("Resize", x, None, None, target, mode="linear", coordinate_transformation_mode="align_corners")


@writes(layers.Padding)
def padding(site: Site, x: Tensor) -> Tensor:
    begin, end = site.layer.pad_beg, site.layer.pad_end
    if begin >= 0 and end >= 0:
        return site.pad(x, [(0, 0), (0, 0), (begin, end), (begin, end)])
    for axis, size in enumerate(site.sizes()[2:], 2):
        x = site.slice(x, axis, -begin, site.calculate("Add", size, end))
    return x


@writes(layers.MaskResize)
def mask_resize(site: Site, x: Tensor) -> Tensor:
    old = site.known(site.bottoms[0][2:], "the size of the mask")
    for axis, (size, new) in enumerate(zip(old, site.layer.size, strict=True), 2):
        place = np.arange(new, dtype="float32") * (np.float32(size) / np.float32(new))
        first = np.minimum(np.floor(place), size - 1)
        part, used = np.minimum(place, size - 1) - first, place <= size - 0.5
        one, other = (
            site.op("Gather", x, [int(i) for i in at], axis=axis) for at in (first, np.minimum(first + 1, size - 1))
        )
        near, far = (site.along(share * used, axis) for share in (1 - part, part))
        x = site.op("Add", site.op("Mul", one, near), site.op("Mul", other, far))
    return x


def _interpolated(site: Site, size: Length) -> Length:
    """shrunk + (shrunk - 1) (zoom - 1), with shrunk = (size - 1) / shrink + 1."""
    layer = site.layer
    steps = site.calculate("Div", site.calculate("Sub", size, 1), layer.shrink_factor)
    return site.calculate("Add", site.calculate("Mul", steps, layer.zoom_factor), 1)


@writes(layers.Upsample, precise=True)
def upsample(site: Site, x: Tensor, mask: Tensor | None = None) -> Tensor:
    if mask is None:
        scales = site.graph.constant([1, 1, *site.layer.scale], "float32")
        pixel: dict[str, Any] = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return site.op("Resize", x, None, scales, mode="nearest", **pixel)
    (batch, channels, *sizes), layer = site.sizes(), site.layer
    scaled = [site.calculate("Mul", size, scale) for size, scale in zip(sizes, layer.scale, strict=True)]
    less = [site.calculate("Sub", size, int(p)) for size, p in zip(scaled, layer.pad_out, strict=True)]
    height, width = layer.size or less
    planes = site.zeros([batch, channels, site.calculate("Mul", height, width)])
    flat = [batch, channels, site.product(sizes)]
    places, values = site.cast(site.reshape(mask, flat), "int64"), site.reshape(x, flat)
    return site.reshape(site.op("ScatterElements", planes, places, values, axis=2), [batch, channels, height, width])


@writes(layers.SPP)
def spp(site: Site, x: Tensor) -> Tensor:
    (high, wide), layer = site.known(site.bottoms[0][2:], "the size of the images"), site.layer
    pool = {"MAX": max_pool, "AVE": average_pool, "STOCHASTIC": stochastic_pool}[layer.pool]
    levels = [pool(site, x, axes, (high, wide)) for axes in layer.levels((high, wide))]
    if len(levels) == 1:
        return levels[0]
    return site.op("Concat", *(site.op("Flatten", level, axis=1) for level in levels), axis=1)


@writes(layers.Im2col)
def im2col(site: Site, x: Tensor) -> Tensor:
    """A convolution of each channel with kernels of a single 1."""
    layer, batch = site.layer, site.rank - 1 - len(site.layer.kernel_size)
    sizes, taps = site.sizes(), math.prod(layer.kernel_size)
    (channels,) = site.known(site.bottoms[0][batch : batch + 1], "the number of channels")
    if not layer.kernel_size:
        return x
    kernels = np.eye(taps, dtype="float32").reshape(taps, 1, *layer.kernel_size)
    kernel = np.concatenate([spread(kernels, layer.dilation)] * channels)
    one = x if batch == 1 else site.reshape(x, [site.product(sizes[:batch]), *sizes[batch:]])
    y = convolved(site, "Conv", one, [site.graph.constant(kernel)], channels, batch)
    return y if batch == 1 else site.reshape(y, [*sizes[:batch], *site.known(site.tops[0][batch:], "the images' size")])
