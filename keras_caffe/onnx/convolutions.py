"""Layers that are linear in their bottom: convolutions, inner products, lookups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_caffe import layers
from keras_caffe.onnx.graph import Tensor
from keras_caffe.onnx.registry import writes
from keras_caffe.onnx.site import Length, Site
from keras_caffe.shapes import conv_output


@writes(layers.Convolution, layers.Convolution3D, layers.ConvolutionDepthwise, layers.DepthwiseConvolution)
def convolution(site: Site, *bottoms: Tensor) -> Sequence[Tensor]:
    return [_each(site, x, "Conv") for x in bottoms]


@writes(layers.NdConvolution)
def nd_convolution(site: Site, *bottoms: Tensor) -> Sequence[Tensor]:
    """Axes that end up with size 1 are dropped, unless they are open."""
    tops = []
    for x, top in zip(bottoms, site.tops, strict=True):
        y = _each(site, x, "Conv")
        sizes = [conv_output(*axis) for axis in _axes(site)]
        single = [axis for axis, size in enumerate(sizes, 2) if size == 1 and len(top) < site.rank]
        tops.append(site.op("Squeeze", y, single) if single else y)
    return tops


def _axes(site: Site) -> Sequence[tuple[Any, ...]]:
    layer = site.layer
    return list(zip(site.bottoms[0][2:], layer.kernel_size, layer.stride, layer.pad, layer.dilation, strict=True))


@writes(layers.Deconvolution, layers.Deconvolution3D)
def deconvolution(site: Site, *bottoms: Tensor) -> Sequence[Tensor]:
    return [_each(site, x, "ConvTranspose") for x in bottoms]


def _each(site: Site, x: Tensor, type: str) -> Tensor:
    """One bottom, whose axes before the channels are batch axes."""
    batch = site.rank - 1 - len(site.layer.kernel_size)
    sizes = site.sizes()
    if not site.layer.kernel_size:
        return _of_vectors(site, x, sizes)
    one = x if batch == 1 else site.reshape(x, [site.product(sizes[:batch]), *sizes[batch:]])
    y = convolved(site, type, one, _weights(site), site.layer.group, batch)
    return y if batch == 1 else site.reshape(y, [*sizes[:batch], *_known_tops(site, batch)])


def _of_vectors(site: Site, x: Tensor, sizes: Sequence[Length]) -> Tensor:
    """Without spatial axes, as a convolution over one of size 1."""
    kernel, *bias = _weights(site)
    flat = site.reshape(x, [site.product(sizes[:-1]), sizes[-1], 1])
    wide = site.op("Reshape", kernel, [*site.values(0).shape, 1])
    type = "ConvTranspose" if isinstance(site.layer, layers.Deconvolution) else "Conv"
    y = site.op(type, flat, wide, *bias, group=site.layer.group)
    return site.reshape(y, [*sizes[:-1], site.layer.num_output])


def _known_tops(site: Site, batch: int) -> Sequence[int]:
    return site.known(site.tops[0][batch:], "the size of images with several batch axes")


def _weights(site: Site) -> list[Tensor]:
    """Kernel and bias."""
    name, values = site.weights[0]
    values = spread(values, site.layer.dilation)
    if isinstance(site.layer, layers.Deconvolution):
        values = _with_holes(values, site.layer.dilation)
    kernel = site.graph.weight(name, values)
    if not site.layer.bias_term:
        return [kernel]
    name, values = site.weights[1]
    return [kernel, site.graph.weight(name, values.reshape(-1))]  # C3D's has five axes


def spread(kernel: np.ndarray, dilation: Sequence[int]) -> np.ndarray:
    """The kernel where a dilation is 0: there all taps fall on one pixel and may be added up."""
    still = tuple(2 + axis for axis, d in enumerate(dilation) if d == 0)
    return np.sum(kernel, axis=still, keepdims=True) if still else kernel


def _with_holes(kernel: np.ndarray, dilation: Sequence[int]) -> np.ndarray:
    """The kernel with zeros between its taps: OpenCV 4 does not heed the dilation of ConvTranspose."""
    steps = [max(d, 1) for d in dilation]
    if set(steps) <= {1}:
        return kernel
    sizes = [(size - 1) * step + 1 for size, step in zip(kernel.shape[2:], steps, strict=True)]
    wide = np.zeros((*kernel.shape[:2], *sizes), kernel.dtype)
    taps: Any = (..., *(slice(None, None, step) for step in steps))
    wide[taps] = kernel
    return wide


def convolved(site: Site, type: str, x: Tensor, weights: Sequence[Tensor], group: int, batch: int) -> Tensor:
    """A Conv or ConvTranspose with the layer's geometry; kernel and bias are given."""
    attributes = _geometry(site, type, batch)
    if type == "Conv" and _padded_before(site.bottoms[0][batch + 1 :], group, attributes):
        axes = len(attributes["kernel_shape"])
        first, last = attributes["pads"][:axes], attributes["pads"][axes:]
        x = site.pad(x, [(0, 0), (0, 0), *zip(first, last, strict=True)])
        attributes["pads"] = [0] * 2 * axes
        if set(attributes["kernel_shape"]) == {1} and any([*first, *last]):
            x, attributes["strides"] = _every(site, x, attributes["strides"]), [1] * axes
    return str(site.op(type, x, *weights, group=group, **attributes))


def _every(site: Site, x: Tensor, strides: Sequence[int]) -> Tensor:
    """What kernels of size 1 read. Where OpenVINO moves their stride to the layer before, it forgets the pads."""
    if set(strides) == {1}:
        return x
    axes = range(2, 2 + len(strides))
    return str(site.op("Slice", x, [0] * len(axes), [2**31] * len(axes), [*axes], [*strides]))


def _padded_before(sizes: Sequence[int | None], group: int, attributes: Mapping[str, Any]) -> bool:
    """Whether engines get pads of their own wrong: OpenCV 5 reads beyond the image where kernels have size 1, OpenCV 4
    where an image is narrower than the kernel of a group."""
    kernel, dilations = attributes["kernel_shape"], attributes["dilations"]
    wide = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    narrow = any(size is not None and size < extent for size, extent in zip(sizes, wide, strict=True))
    return set(kernel) == {1} or (group > 1 and narrow)


def _geometry(site: Site, type: str, batch: int) -> dict[str, Any]:
    """Kernel, strides, pads and dilations of a layer as ONNX's attributes."""
    layer = site.layer
    kernel = [k if d else 1 for k, d in zip(layer.kernel_size, layer.dilation, strict=True)]
    dilations = [max(d, 1) for d in layer.dilation]
    pads = list(layer.pad)
    if type == "ConvTranspose":
        kernel = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
        dilations = [1] * len(kernel)
    else:
        axes = zip(site.bottoms[0][batch + 1 :], kernel, layer.stride, layer.pad, dilations, strict=True)
        pads = [pad + _overhang(*axis) for pad, axis in zip(pads, axes, strict=True)]
    return {
        "kernel_shape": kernel,
        "strides": list(layer.stride),
        "pads": [*layer.pad, *pads],
        "dilations": dilations,
    }


def _overhang(size: int | None, k: int, s: int, p: int, d: int) -> int:
    """How far the last window reaches beyond the padding, where C's truncating division yields one that does."""
    if size is None:
        return 0
    return max(0, (conv_output(size, k, s, p, d) - 1) * s + d * (k - 1) + 1 - (size + 2 * p))


@writes(layers.InnerProduct)
def inner_product(site: Site, x: Tensor) -> Tensor:
    layer = site.layer
    sizes = site.sizes()[: layer.axis]
    flat = x if (site.rank, layer.axis) == (2, 1) else site.op("Flatten", x, axis=layer.axis)
    bias = [site.weight(1)] if layer.bias_term else []
    kernel = _normalized(site) if layer.normalize else site.weight(0)
    y = site.op("Gemm", flat, kernel, *bias, transB=int(not layer.transpose))
    return y if layer.axis == 1 else site.reshape(y, [*sizes, layer.num_output])


def _normalized(site: Site) -> Tensor:
    """The weights as the first pass leaves them, each run of K numbers divided by its length."""
    name, values = site.weights[0]
    runs = values.reshape(site.layer.num_output, -1)
    length = np.sqrt(np.sum(np.square(runs), axis=1, keepdims=True) + np.float32(1e-6))
    return site.graph.weight(name, (runs / length).reshape(values.shape))


@writes(layers.Embed, precise=True)
def embed(site: Site, x: Tensor) -> Tensor:
    y = site.op("Gather", site.weight(0), site.cast(x, "int64"), axis=0)
    return site.op("Add", y, site.weight(1)) if site.layer.bias_term else y
