"""Pooling with Caffe's windows: what its ceil rule and its divisors need is laid around Keras's layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_caffe.layers.pooling import Pooling
from keras_caffe.ops.pool_axis import Axis
from keras_caffe.ops.same import is_same
from keras_caffe.plain.registry import turns
from keras_caffe.plain.site import Site

LOWEST = float(np.finfo("float32").min)
LAST = {"data_format": "channels_last"}


@turns(Pooling)
def pooling(site: Site, x: Any) -> Any:
    layer, sizes = site.layer, x.shape[1:3]
    if layer.pool == "STOCHASTIC" or layer.with_mask or any(not size for size in sizes):
        return None
    if layer.global_pooling:
        kind = keras.layers.GlobalMaxPooling2D if layer.pool == "MAX" else keras.layers.GlobalAveragePooling2D
        return kind(keepdims=True, **LAST, **site.keras_args)(x)
    ceil, clip = layer.round_mode == "CEIL", any(layer.pad)
    axes = [Axis(k, s, p, ceil, clip) for k, s, p in zip(layer.kernel_size, layer.stride, layer.pad, strict=True)]
    outputs = [axis.output(size) for axis, size in zip(axes, sizes, strict=True)]
    pads = [_pads(*pair) for pair in zip(axes, sizes, outputs, strict=True)]
    if min(outputs) < 1 or min(min(pair) for pair in pads) < 0:
        return None
    if layer.pool == "MAX":
        return _maximum(site, x, axes, outputs, pads)
    x = ops.pad(x, ((0, 0), *pads, (0, 0))) if np.any(pads) else x
    y = keras.layers.AveragePooling2D(layer.kernel_size, strides=layer.stride, **LAST, **site.keras_args)(x)
    factor = _factor(axes, sizes, outputs)
    return y if (factor == 1).all() else ops.multiply(y, factor)


def _maximum(site: Site, x: Any, axes: Sequence[Axis], outputs: Sequence[int], pads: Sequence[tuple[int, int]]) -> Any:
    sizes = zip(x.shape[1:3], axes, outputs, strict=True)
    same = np.any(pads) and all(is_same(size, axis.kernel, axis.stride, axis.pad, out) for size, axis, out in sizes)
    if np.any(pads) and not same:
        x = ops.pad(x, ((0, 0), *pads, (0, 0)), constant_values=LOWEST)
    arguments = {"strides": site.layer.stride, "padding": "same" if same else "valid", **LAST, **site.keras_args}
    return keras.layers.MaxPooling2D(site.layer.kernel_size, **arguments)(x)


def _pads(axis: Axis, size: int, output: int) -> tuple[int, int]:
    """What lies before and after the input; more after it does no harm where no window would fit more."""
    reach = (output - 1) * axis.stride + axis.kernel
    return axis.pad, max(reach - size - axis.pad, 0)


def _factor(axes: Sequence[Axis], sizes: Sequence[int], outputs: Sequence[int]) -> np.ndarray:
    """(P_h, P_w, 1): the kernel's area over the area that Caffe divides by, which ends where the padding ends."""
    extents = []
    for axis, size, output in zip(axes, sizes, outputs, strict=True):
        start = np.arange(output) * axis.stride - axis.pad
        extents.append(np.minimum(start + axis.kernel, size + axis.pad) - start)
    area = extents[0][:, None] * extents[1][None, :]
    return (axes[0].kernel * axes[1].kernel / area).astype("float32")[:, :, None]
