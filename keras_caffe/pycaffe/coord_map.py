"""pycaffe's coord_map: how positions of one top of a NetSpec lie in another (python/caffe/coord_map.py).

n.upscore = layers.Deconvolution(n.score, ...)
n.score_full = coord_map.crop(n.upscore, n.data)  # a Crop layer whose offset follows from the layers between the two
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_caffe.errors import NetError
from keras_caffe.layers.spatial import stated
from keras_caffe.pycaffe.net_spec import Function, Top, layers

PASS_THROUGH_LAYERS = [
    *("AbsVal", "BatchNorm", "Bias", "BNLL", "Clip", "Dropout", "Eltwise", "ELU", "Exp", "Log", "LRN", "MVN", "Power"),
    *("PReLU", "ReLU", "Scale", "Sigmoid", "Split", "Swish", "TanH", "Threshold"),
]

Map = tuple[int | None, Any, Any]
"""(axis, scale, shift): along the axes after `axis`, position x of a bottom is scale * x + shift of the top."""

IDENTITY: Map = (None, 1, 0)


class UndefinedMapException(NetError):
    """A layer's top is not laid out as its bottom in another scale."""


class AxisMismatchException(NetError):
    """Two maps are about different axes."""


class UnconnectedException(NetError, RuntimeError):
    """No maps lead from two tops to an ancestor that they have in common."""


class CropException(NetError, AssertionError):
    """No crop lays one top on the other."""


def conv_params(fn: Function) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    """(axis, stride, extent of the kernel, pad) of a layer with windows; one number each, or one for each axis."""
    message, pools = fn.message(), fn.type_name == "Pooling"
    param = message.pooling_param if pools else message.convolution_param
    if not stated(param, "kernel_size"):
        raise UndefinedMapException("positions depend on a kernel_size that is not given", layer=fn.type_name)
    kernel, stride, pad = (
        np.array(stated(param, name) or [default], np.int64)
        for name, default in (("kernel_size", 1), ("stride", 1), ("pad", 0))
    )
    dilation = np.array(1 if pools else stated(param, "hole") or param.dilation or 1, np.int64)
    return 1 if pools else param.axis, stride, (kernel - 1) * dilation + 1, pad


def crop_params(fn: Function) -> tuple[int, np.ndarray]:
    """(first cropped axis, offset) of a Crop layer; one offset, or one for each cropped axis."""
    param = fn.message().crop_param
    return param.axis, np.array(param.offset or 0, np.int64, ndmin=1)


def coord_map(fn: Function) -> Map:
    """The map from a layer's bottoms to its tops.

    Raises:
        UndefinedMapException: there is none, as for InnerProduct.
    """
    if fn.type_name in ("Convolution", "Pooling", "Im2col"):
        axis, stride, kernel, pad = conv_params(fn)
        return axis, 1 / stride, (pad - (kernel - 1) / 2) / stride
    if fn.type_name == "Deconvolution":
        axis, stride, kernel, pad = conv_params(fn)
        return axis, stride, (kernel - 1) / 2 - pad
    if fn.type_name in PASS_THROUGH_LAYERS:
        return IDENTITY
    if fn.type_name == "Crop":
        axis, offset = crop_params(fn)
        return axis - 1, 1, -offset
    raise UndefinedMapException("positions cannot be followed through the layer", layer=fn.type_name)


def compose(base_map: Map, next_map: Map) -> Map:
    """The map that applies `next_map` and then `base_map`.

    Raises:
        AxisMismatchException: the two are about different axes.
    """
    (axis, scale, shift), (next_axis, next_scale, next_shift) = base_map, next_map
    if axis is not None and next_axis is not None and axis != next_axis:
        raise AxisMismatchException("maps of different axes", expected=axis, received=next_axis)
    return next_axis if axis is None else axis, scale * next_scale, scale * next_shift + shift


def inverse(coord_map: Map) -> Map:
    """The map the other way."""
    axis, scale, shift = coord_map
    return axis, 1 / scale, -shift / scale


def _ancestors(start: Top) -> Iterator[tuple[Top, Map]]:
    """The tops that maps to `start` lead from, the nearest first, and these maps."""
    maps, todo = {start: IDENTITY}, deque([start])
    while todo:
        top = todo.popleft()
        yield top, maps[top]
        try:
            last = coord_map(top.fn)
        except UndefinedMapException:
            continue
        for bottom in top.fn.inputs[: 1 if top.fn.type_name == "Crop" else None]:
            if bottom not in maps:  # all ways to it are taken to agree
                maps[bottom] = compose(maps[top], last)
                todo.append(bottom)


def coord_map_from_to(top_from: Top, top_to: Top) -> Map:
    """The map from one top to another, by way of an ancestor of both (which one of the two may be itself).

    Raises:
        UnconnectedException: there is no such ancestor.
        AxisMismatchException: layers on the way are about different axes.
    """
    from_maps = dict(_ancestors(top_from))
    for top, to_map in _ancestors(top_to):
        if top in from_maps:
            return compose(to_map, inverse(from_maps[top]))
    raise UnconnectedException(
        f"no map leads from a top of {top_from.fn.type_name} to one of {top_to.fn.type_name}",
        expected="an ancestor of both with only convolutions, poolings, crops and element-wise layers in between",
    )


def crop(top_from: Top, top_to: Top) -> Top:
    """The top of a Crop layer that cuts out of `top_from` what lies on `top_to`.

    Raises:
        CropException: the two differ in scale, or the offset is negative or no whole number.
        UnconnectedException, AxisMismatchException: as `coord_map_from_to`.
    """
    axis, scale, shift = coord_map_from_to(top_from, top_to)
    offset = -np.array(shift, ndmin=1)
    if np.any(scale != 1):
        raise CropException("the two tops differ in scale", expected="scale 1", received=scale)
    if np.any(offset < 0) or np.any(offset != np.round(offset)):
        raise CropException("no crop has this offset", expected="whole numbers from 0 on", received=offset)
    first = 2 if axis is None else axis + 1
    return layers.Crop(top_from, top_to, crop_param={"axis": first, "offset": [int(x) for x in offset]})
