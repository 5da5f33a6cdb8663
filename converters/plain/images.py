"""Keras layers that slide over images as Caffe layers.

Caffe pads both sides alike. Where Keras pads one side more, zeros in the kernel take the place of the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_caffe.converters.plain.draft import Draft, DraftValue, Handler, Inexpressible, array
from keras_caffe.shapes import ceil_div, pool_output, windows

Pads = tuple[tuple[int, int], tuple[int, int]]
"""(before, after) for height and width"""


def conv2d(draft: Draft, layer: Any, values: Sequence[DraftValue]) -> DraftValue:
    weight = array(layer.kernel).transpose(3, 2, 0, 1)
    return _convolution(draft, layer, layer.name, values[0], weight, _bias(layer), layer.groups)


def depthwise_conv2d(draft: Draft, layer: Any, values: Sequence[DraftValue]) -> DraftValue:
    (value,), weight = values, _depthwise(layer.kernel)
    return _convolution(draft, layer, layer.name, value, weight, _bias(layer), value.channels)


def separable_conv2d(draft: Draft, layer: Any, values: Sequence[DraftValue]) -> DraftValue:
    (value,), weight = values, _depthwise(layer.depthwise_kernel)
    deep = _convolution(
        draft, layer, f"{layer.name}_depthwise", value, weight, [], value.channels, (id(layer), "depthwise")
    )
    weight = array(layer.pointwise_kernel).transpose(3, 2, 0, 1)
    param = {"num_output": len(weight), "kernel_size": [1], "bias_term": layer.use_bias}
    shape, blobs = (value.shape[0], len(weight), *deep.shape[2:]), [weight, *_bias(layer)]
    return draft.add("Convolution", layer.name, [deep], shape, blobs, owner=layer, convolution_param=param)


def _depthwise(kernel: Any) -> np.ndarray:
    kernel = array(kernel)
    return kernel.transpose(2, 3, 0, 1).reshape(-1, 1, *kernel.shape[:2])


def _bias(layer: Any) -> list[np.ndarray]:
    return [array(layer.bias)] if layer.use_bias else []


def _convolution(
    draft: Draft,
    layer: Any,
    name: str,
    value: DraftValue,
    weight: np.ndarray,
    bias: list,
    groups: int,
    owner: Any = None,
) -> DraftValue:
    strides, dilation = _pair(layer.strides), _pair(layer.dilation_rate)
    if layer.padding not in ("same", "valid"):
        raise Inexpressible(f"padding {layer.padding!r}")
    extent = [d * (k - 1) + 1 for k, d in zip(weight.shape[2:], dilation, strict=True)]
    sizes = zip(value.shape[2:], extent, strides, strict=True)
    pads = tuple(_same(n, k, s) if layer.padding == "same" else (0, 0) for n, k, s in sizes)
    weight, pad = _even(weight, pads, dilation)
    return _write_convolution(draft, owner or layer, name, value, [weight, *bias], groups, strides, pad, dilation)


def _write_convolution(
    draft: Draft,
    owner: Any,
    name: str,
    value: DraftValue,
    blobs: list[np.ndarray],
    groups: int,
    strides: Sequence[int] = (1, 1),
    pad: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    kind: str = "Convolution",
) -> DraftValue:
    kernel = blobs[0].shape[2:]
    param: dict[str, Any] = {"bias_term": len(blobs) > 1, **_sizes("kernel", kernel), **_sizes("stride", strides)}
    param |= {**_sizes("pad", pad), **({"group": groups} if groups > 1 else {})}
    param |= {"dilation": list(dilation)} if max(dilation) > 1 else {}
    if kind == "Convolution":
        param["num_output"] = len(blobs[0])
        extent = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
        size = [windows(n + 2 * p, k, s) for n, p, k, s in zip(value.shape[2:], pad, extent, strides, strict=True)]
    else:
        param["num_output"] = blobs[0].shape[1] * groups
        size = [(n - 1) * s + k - 2 * p for n, p, k, s in zip(value.shape[2:], pad, kernel, strides, strict=True)]
    if min(size) < 1:
        raise Inexpressible("its output is empty")
    shape = (value.shape[0], param["num_output"], *size)
    return draft.add(kind, name, [value], shape, blobs, owner=owner, convolution_param=param)


def conv2d_transpose(draft: Draft, layer: Any, values: Sequence[DraftValue]) -> DraftValue:
    (value,), strides = values, _pair(layer.strides)
    weight = array(layer.kernel).transpose(3, 2, 0, 1)
    if max(_pair(layer.dilation_rate)) > 1 or getattr(layer, "output_padding", None) is not None:
        raise Inexpressible("dilation or output_padding")
    if any(k < s for k, s in zip(weight.shape[2:], strides, strict=True)):
        raise Inexpressible("a kernel smaller than its stride")
    gaps = [k - s if layer.padding == "same" else 0 for k, s in zip(weight.shape[2:], strides, strict=True)]
    weight, pad = _even(weight, tuple((gap // 2, gap - gap // 2) for gap in gaps), (1, 1))
    blobs = [weight, *_bias(layer)]
    return _write_convolution(draft, layer, layer.name, value, blobs, 1, strides, pad, kind="Deconvolution")


def zero_padding2d(draft: Draft, layer: Any, values: Sequence[DraftValue]) -> DraftValue:
    """A convolution of each channel with a kernel of 1."""
    (value,) = values
    ones = np.ones((value.channels, 1, 1, 1), "float32")
    weight, pad = _even(ones, tuple(map(tuple, layer.padding)), (1, 1))
    return _write_convolution(draft, None, layer.name, value, [weight], value.channels, pad=pad)


def up_sampling2d(draft: Draft, layer: Any, values: Sequence[DraftValue]) -> DraftValue:
    (value,), size = values, _pair(layer.size)
    if layer.interpolation != "nearest":
        raise Inexpressible(f"interpolation {layer.interpolation!r}")
    ones = np.ones((value.channels, 1, *size), "float32")
    return _write_convolution(draft, None, layer.name, value, [ones], value.channels, size, kind="Deconvolution")


def _pooling(kind: str) -> Handler:
    def write(draft: Draft, layer: Any, values: Sequence[DraftValue]) -> DraftValue:
        (value,), kernel, strides = values, _pair(layer.pool_size), _pair(layer.strides)
        spatial = list(zip(value.shape[2:], kernel, strides, strict=True))
        param: dict[str, Any] = {"pool": kind, **_single("kernel", kernel), **_single("stride", strides)}
        if layer.padding == "same":
            pads = [_same(n, k, s)[0] for n, k, s in spatial]
            if kind == "AVE" and any(pads):
                raise Inexpressible("an average that leaves padding out, which Caffe counts")
            if any(p >= k for p, k in zip(pads, kernel, strict=True)):
                raise Inexpressible("padding as wide as the window")
            param |= _single("pad", pads) if any(pads) else {}
            size = [ceil_div(n, s) for n, _, s in spatial]
            param |= _rounding(spatial, pads, size)
        else:
            size = [windows(n, k, s) for n, k, s in spatial]
            if any((n - k) % s for n, k, s in spatial):
                param["round_mode"] = "FLOOR"
        if min(size) < 1:
            raise Inexpressible("its output is empty")
        return draft.add("Pooling", layer.name, [value], (*value.shape[:2], *size), pooling_param=param)

    return write


def _rounding(spatial: Sequence[tuple[int, int, int]], pads: Sequence[int], wanted: Sequence[int]) -> dict[str, str]:
    """How Caffe must round so that there are as many windows as wanted."""
    for mode, ceil in ((None, True), ("FLOOR", False)):
        sizes = [pool_output(n, k, s, p, ceil=ceil, clip=any(pads)) for (n, k, s), p in zip(spatial, pads, strict=True)]
        if sizes == list(wanted):
            return {"round_mode": mode} if mode else {}
    raise Inexpressible("a number of windows that Caffe does not have")


def _global_pooling(kind: str) -> Handler:
    def write(draft: Draft, layer: Any, values: Sequence[DraftValue]) -> DraftValue:
        (value,), param = values, {"pool": kind, "global_pooling": True}
        shape = (*value.shape[:2], 1, 1)
        if layer.keepdims:
            return draft.add("Pooling", layer.name, [value], shape, pooling_param=param)
        pooled = draft.add("Pooling", f"{layer.name}_pool", [value], shape, pooling_param=param)
        return draft.add("Flatten", layer.name, [pooled], shape[:2])

    return write


def _same(size: int, extent: int, stride: int) -> tuple[int, int]:
    """What padding "same" adds before and after."""
    total = max((ceil_div(size, stride) - 1) * stride + extent - size, 0)
    return total // 2, total - total // 2


def _even(weight: np.ndarray, pads: Pads | Any, dilation: Sequence[int]) -> tuple[np.ndarray, list[int]]:
    """A kernel and padding alike on both sides that do the same."""
    zeros, pad = [(0, 0), (0, 0)], []
    for (before, after), spread in zip(pads, dilation, strict=True):
        if (after - before) % spread:
            raise Inexpressible("padding that is not alike on both sides, with dilation")
        gap = (after - before) // spread
        zeros.append((max(gap, 0), max(-gap, 0)))
        pad.append(max(before, after))
    return np.pad(weight, zeros), pad


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)  # type: ignore[return-value]


def _sizes(name: str, values: Sequence[int]) -> dict[str, Any]:
    """The fields of a ConvolutionParameter."""
    if values[0] != values[1]:
        return {f"{name}_h": values[0], f"{name}_w": values[1]}
    usual = {"pad": 0, "stride": 1}.get(name)
    return {} if values[0] == usual else {f"{name}_size" if name == "kernel" else name: [values[0]]}


def _single(name: str, values: Sequence[int]) -> dict[str, Any]:
    """The fields of a PoolingParameter."""
    return {key: value[0] if isinstance(value, list) else value for key, value in _sizes(name, values).items()}


HANDLERS: dict[str, Handler] = {
    "Conv2D": conv2d,
    "DepthwiseConv2D": depthwise_conv2d,
    "SeparableConv2D": separable_conv2d,
    "Conv2DTranspose": conv2d_transpose,
    "ZeroPadding2D": zero_padding2d,
    "UpSampling2D": up_sampling2d,
    "MaxPooling2D": _pooling("MAX"),
    "AveragePooling2D": _pooling("AVE"),
    "GlobalAveragePooling2D": _global_pooling("AVE"),
    "GlobalMaxPooling2D": _global_pooling("MAX"),
}
