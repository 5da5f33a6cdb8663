"""Kernel, stride, pad and dilation as Caffe's messages spell them: once, once per axis, or as `_h` and `_w`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers.arguments import items, per_axis
from keras_caffe.layers.base import required
from keras_caffe.shapes import Shape


def spatial_params(param: Any, spatial: int) -> dict[str, list[int]]:
    """kernel_size, stride, pad and dilation of a ConvolutionParameter, one number per spatial axis.

    Raises:
        LayerError: missing, given twice, or another number of values than spatial axes.
    """
    refuse_shapes(param)
    return {
        "kernel_size": _per_axis(param, "kernel_size", "kernel_h", "kernel_w", None, spatial),
        "stride": _per_axis(param, "stride", "stride_h", "stride_w", 1, spatial),
        "pad": _per_axis(param, "pad", "pad_h", "pad_w", 0, spatial),
        "dilation": stated_dilation(param, spatial),
    }


SHAPES = {"kernel_size": "kernel_shape", "stride": "stride_shape", "pad": "pad_shape"}
"""{field: what it is called in the messages of the types NdConvolution and NdPooling}"""


def refuse_shapes(param: Any) -> None:
    """Raises LayerError for fields that only NdConvolution and NdPooling read."""
    for name, shape in SHAPES.items():
        if param.HasField(shape):
            raise LayerError(f"{shape} is for NdConvolution and NdPooling", fix=f"Write {name}.")


def shape_params(param: Any, spatial: int) -> dict[str, list[int]]:
    """kernel_size, stride and pad of an NdConvolution or NdPooling: kernel_shape and its like, a dim per spatial axis.

    Raises:
        LayerError: no kernel_shape, another number of dims, or kernel_size and its like.
    """
    for name, shape in SHAPES.items():
        if stated(param, name):
            raise LayerError(f"{name} is not for NdConvolution and NdPooling", fix=f"Write {shape}.")
    required(param, "kernel_shape")
    found = {name: list(getattr(param, shape).dim) for name, shape in SHAPES.items() if param.HasField(shape)}
    for name, dims in found.items():
        if len(dims) != spatial:
            expected = f"{spatial} dims, one for each spatial axis"
            raise LayerError(f"{SHAPES[name]} does not fit the bottom", expected=expected, received=dims)
    return found


def stated_dilation(param: Any, spatial: int) -> list[int]:
    """`dilation`, or what DeepLab's Caffe calls it: `hole`, or `hole_h` and `hole_w`."""
    given = [name for name in ("hole", "hole_h", "hole_w") if param.HasField(name)]
    if not given:
        return _repeated(param.dilation, "dilation", 1, spatial)
    if param.dilation:
        raise LayerError(f"dilation is given together with {given[0]}", fix="Use one of the two names.")
    if spatial != 2:
        raise LayerError(f"{given[0]} needs two spatial axes", received=f"{spatial} spatial axes")
    return pair(param, "hole", "hole_h", "hole_w")


def _per_axis(param: Any, name: str, h: str, w: str, default: int | None, spatial: int) -> list[int]:
    if not (param.HasField(h) or param.HasField(w)):
        return _repeated(getattr(param, name), name, default, spatial)
    if spatial != 2:
        raise LayerError(f"{h} and {w} need two spatial axes", received=f"{spatial} spatial axes")
    if len(getattr(param, name)):
        raise LayerError(f"{name} is given together with {h} or {w}", fix="Use one of the two forms.")
    if name != "pad" and not (param.HasField(h) and param.HasField(w)):
        raise LayerError(
            f"{h} and {w} must be given together", received=f"{h} {getattr(param, h)}, {w} {getattr(param, w)}"
        )
    return [getattr(param, h), getattr(param, w)]


def _repeated(values: Sequence[int], name: str, default: int | None, spatial: int) -> list[int]:
    allowed = {1, spatial} if default is None else {0, 1, spatial}
    if len(values) not in allowed:
        wanted = " or ".join(map(str, sorted(allowed)))
        raise LayerError(
            f"{name} must be given once or once per spatial axis", expected=f"{wanted} values", received=list(values)
        )
    if len(values) == spatial:
        return list(values)
    return [values[0] if values else default or 0] * spatial  # without a default there is a value


def window(kernel_size: Any, stride: Any, pad: Any, dilation: Any) -> tuple[tuple[int, ...], ...]:
    """The four as constructors take them, one number for each spatial axis; a kernel of one number has two axes.

    Raises:
        LayerError: no whole numbers, a kernel or stride of 0, or another number of values than the kernel has.
    """
    axes = len(items(kernel_size, 2))
    return (
        per_axis("kernel_size", kernel_size, axes, 1),
        per_axis("stride", stride, axes, 1),
        per_axis("pad", pad, axes),
        per_axis("dilation", dilation, axes),  # 0 is fine: all taps fall on one pixel
    )


def batch_axes(shape: Shape, kernel_size: Sequence[int]) -> int:
    """The number of axes before the spatial ones in (..., *spatial, C). Raises ShapeError if there are too few axes."""
    first = len(shape) - len(kernel_size) - 1
    if first < 0:
        wanted = f"{len(kernel_size)} spatial axes and the channels"
        raise ShapeError("the bottom has fewer axes than the kernel needs", expected=wanted, received=shape)
    return first


def windows_fit(shape: Shape, layer: Any) -> bool:
    """Whether a convolution's kernel lies within its padded bottom (..., *spatial, C); unknown sizes fit."""
    sizes = shape[batch_axes(shape, layer.kernel_size) : -1]
    geometry = zip(sizes, layer.kernel_size, layer.pad, layer.dilation, strict=True)
    return all(size is None or size + 2 * p > d * (k - 1) for size, k, p, d in geometry)


def stated(param: Any, name: str) -> list[int]:
    """kernel_size, stride or pad as the message states it, with `_h` and `_w` as a pair; nothing if it does not."""
    h, w = (f"{name.removesuffix('_size')}_{axis}" for axis in "hw")
    if param.HasField(h) or param.HasField(w):
        return [getattr(param, h), getattr(param, w)]
    value = getattr(param, name)
    return list(value) if hasattr(value, "extend") else [value] * param.HasField(name)


def pair(param: Any, name: str, h: str, w: str, required: bool = False) -> list[int]:
    """(height, width) of a message in which the three fields are single values, as in PoolingParameter.

    Raises:
        LayerError: given twice, half, or missing although required.
    """
    one, high, wide = (param.HasField(field) for field in (name, h, w))
    if one and (high or wide):
        raise LayerError(f"{name} is given together with {h} or {w}", fix="Use one of the two forms.")
    if high != wide and name != "pad":
        raise LayerError(f"{h} and {w} must be given together", received=h if high else w)
    if required and not (one or high):
        raise LayerError(f"{name} is missing", expected=f"{name}, or {h} and {w}, or global_pooling: true")
    return [getattr(param, h), getattr(param, w)] if high or wide else [getattr(param, name)] * 2
