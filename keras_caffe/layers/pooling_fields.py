"""What PoolingParameter says of windows: over planes, and over three axes as Intel's Caffe spells it."""

from __future__ import annotations

from typing import Any

from keras_caffe.errors import LayerError
from keras_caffe.layers.arguments import per_axis
from keras_caffe.layers.base import enum_name
from keras_caffe.layers.spatial import pair

FIELDS = ("kernel_size", "stride", "pad")


def states_3d(param: Any) -> list[str]:
    """The given fields of those that only a Pooling of a bottom of five axes reads."""
    return [f"{name}_3d" for name in FIELDS if getattr(param, f"{name}_3d")]


def refuse_3d(param: Any) -> None:
    """Raises LayerError for `states_3d`."""
    for name in states_3d(param):
        raise LayerError(f"{name} is for a Pooling whose bottom has five axes")


def three_axes(param: Any) -> dict[str, tuple[int, ...]]:
    """kernel_size, stride and pad of Intel's Pooling over three axes: kernel_size_3d and its like, once or per axis.

    Raises:
        LayerError: no kernel_size_3d, or one with global_pooling; fields for planes, or another number of values.
    """
    for name in FIELDS:
        axes = ("kernel_h", "kernel_w") if name == "kernel_size" else (f"{name}_h", f"{name}_w")
        for field in filter(param.HasField, (name, *axes)):
            raise LayerError(f"{field} is for planes, and the bottom has three spatial axes", fix=f"Write {name}_3d.")
    stated = bool(param.kernel_size_3d)
    if param.global_pooling and stated:
        raise LayerError("global_pooling takes the kernel from the bottom", fix="Remove kernel_size_3d.")
    if not param.global_pooling and not stated:
        raise LayerError("kernel_size_3d is missing", fix="Set kernel_size_3d in PoolingParameter.")
    given = {name: list(getattr(param, f"{name}_3d")) for name in FIELDS}
    found = {name: per_axis(f"{name}_3d", numbers, 3) for name, numbers in given.items() if numbers}
    return {"kernel_size": (1, 1, 1), **found}


def round_mode(param: Any) -> str:
    """`ceil_mode` is a fork's older spelling of `round_mode`."""
    older = param.HasField("ceil_mode") and not param.HasField("round_mode")
    return ("FLOOR", "CEIL")[param.ceil_mode] if older else enum_name(param, "round_mode")


def kernel(param: Any) -> dict[str, list[int]]:
    """The kernel, which global pooling takes from the bottom and a file may not give then."""
    fields = ("kernel_size", "kernel_h", "kernel_w")
    if not param.global_pooling:
        return {"kernel_size": pair(param, *fields, required=True)}
    if any(map(param.HasField, fields)):
        raise LayerError("global_pooling takes the kernel from the bottom", fix="Remove the kernel size.")
    return {}
