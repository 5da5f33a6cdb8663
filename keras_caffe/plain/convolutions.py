"""Convolutions and inner products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_caffe.layers.convolution import Convolution
from keras_caffe.layers.convolution3d import Convolution3D
from keras_caffe.layers.convolution_depthwise import ConvolutionDepthwise
from keras_caffe.layers.deconvolution import Deconvolution
from keras_caffe.layers.depthwise_convolution import DepthwiseConvolution
from keras_caffe.layers.inner_product import InnerProduct
from keras_caffe.ops.same import is_same
from keras_caffe.plain.registry import turns
from keras_caffe.plain.site import Site
from keras_caffe.shapes import conv_output

CONVOLUTIONS = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D, 3: keras.layers.Conv3D}
PADDINGS = {1: keras.layers.ZeroPadding1D, 2: keras.layers.ZeroPadding2D, 3: keras.layers.ZeroPadding3D}
LAST = "channels_last"


@turns(Convolution, DepthwiseConvolution, ConvolutionDepthwise, Convolution3D)
def convolution(site: Site, *bottoms: Any) -> Any:
    layer, rank = site.layer, len(site.layer.kernel_size)
    if rank not in CONVOLUTIONS or len(bottoms[0].shape) != rank + 2 or 0 in layer.dilation:
        return None
    if max(layer.stride) > 1 and max(layer.dilation) > 1:  # Keras takes one of them.
        return None
    if any(size is None or size <= 0 for size in bottoms[0].shape[1:-1]):
        return None
    padding, pads = _padding(layer, bottoms[0].shape)
    main, weights = _depthwise(site, bottoms[0], padding) or _dense(site, padding)
    tops = [site.weighted(main, _padded(site, x, pads, number), *weights) for number, x in enumerate(bottoms)]
    return tops if len(tops) > 1 else tops[0]


def _padding(layer: Any, shape: Sequence[int]) -> tuple[str, list[tuple[int, int]]]:
    """Keras's argument, and what is to be laid around the images before."""
    axes = zip(shape[1:-1], layer.kernel_size, layer.stride, layer.pad, layer.dilation, strict=True)
    pads, same = [], any(layer.pad)
    for size, k, s, p, d in axes:
        out, window = conv_output(size, k, s, p, d), d * (k - 1) + 1
        same = same and is_same(size, window, s, p, out)
        # C's division truncates: an input smaller than the kernel still gives one output, whose taps read zeros.
        pads.append((p, p + max(0, (out - 1) * s + window - (size + 2 * p))))
    return ("same", []) if same else ("valid", pads if np.any(pads) else [])


def _padded(site: Site, x: Any, pads: Sequence[tuple[int, int]], number: int) -> Any:
    if not pads:
        return x
    name = f"{site.name}_pad" if not number else f"{site.name}_pad_{number}"
    return PADDINGS[len(pads)](pads[0] if len(pads) == 1 else tuple(pads), name=name, data_format=LAST)(x)


def _arguments(site: Site, padding: str) -> dict[str, Any]:
    layer = site.layer
    geometry = {"kernel_size": layer.kernel_size, "strides": layer.stride, "dilation_rate": layer.dilation}
    return geometry | {"padding": padding, "use_bias": layer.bias_term, "data_format": LAST} | site.keras_args


def _dense(site: Site, padding: str) -> tuple[keras.layers.Layer, Sequence[np.ndarray]]:
    """The layer that all or several channels go into, and its weights."""
    layer, (kernel, *bias) = site.layer, site.arrays
    rank = len(layer.kernel_size)
    main = CONVOLUTIONS[rank](layer.num_output, groups=layer.group, **_arguments(site, padding))
    return main, [kernel.transpose(*range(2, 2 + rank), 1, 0), *(b.ravel() for b in bias)]


def _depthwise(site: Site, x: Any, padding: str) -> tuple[keras.layers.Layer, Sequence[np.ndarray]] | None:
    """The same where each channel stands for itself; TensorFlow's takes one stride for both axes."""
    layer, (kernel, *bias) = site.layer, site.arrays
    channels = x.shape[-1]
    if layer.group != channels or channels == 1 or len(layer.kernel_size) != 2 or len(set(layer.stride)) > 1:
        return None
    many = layer.num_output // channels
    main = keras.layers.DepthwiseConv2D(depth_multiplier=many, **_arguments(site, padding))
    turned = kernel.reshape(channels, many, *layer.kernel_size).transpose(2, 3, 0, 1)
    return main, [turned, *bias]


@turns(Deconvolution)
def deconvolution(site: Site, *bottoms: Any) -> Any:
    layer, (kernel, *bias) = site.layer, site.arrays
    known = all(size and size > 0 for size in bottoms[0].shape[1:-1])
    plain = layer.group == 1 and len(layer.kernel_size) == 2 and len(bottoms[0].shape) == 4 and known
    if not plain or set(layer.dilation) != {1}:
        return None
    arguments = {"strides": layer.stride, "use_bias": layer.bias_term, "data_format": LAST} | site.keras_args
    main = keras.layers.Conv2DTranspose(layer.num_output, layer.kernel_size, **arguments)
    # Keras's output is size * stride long where the stride is larger than the kernel; Caffe's ends with the last tap.
    pads = [(p, p + max(s - k, 0)) for p, s, k in zip(layer.pad, layer.stride, layer.kernel_size, strict=True)]
    tops = []
    for number, x in enumerate(bottoms):
        y = site.weighted(main, x, kernel.transpose(2, 3, 1, 0), *bias)
        name = f"{site.name}_crop" if not number else f"{site.name}_crop_{number}"
        tops.append(keras.layers.Cropping2D(pads, data_format=LAST, name=name)(y) if np.any(pads) else y)
    return tops if len(tops) > 1 else tops[0]


@turns(InnerProduct)
def inner_product(site: Site, x: Any) -> Any:
    layer, (kernel, *bias) = site.layer, site.arrays
    leading = x.shape[: layer.axis]
    if layer.normalize or layer.axis < 1 or None in x.shape[1:] or 0 in x.shape[1:]:
        return None
    if layer.axis == 1 and len(x.shape) > 2:
        x = keras.layers.Flatten(data_format=LAST, name=f"{site.name}_flatten")(x)
    elif layer.axis < len(x.shape) - 1 or len(x.shape) < 2:
        x = ops.reshape(x, (-1, *leading[1:], int(np.prod(x.shape[layer.axis :]))))
    elif layer.axis == len(x.shape):
        return None
    main = keras.layers.Dense(layer.num_output, use_bias=layer.bias_term, **site.keras_args)
    return site.weighted(main, x, kernel if layer.transpose else kernel.T, *bias)
