"""Weighted means of an image's pixels around each pixel of another size (FlowNet2: resample_layer.cu)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from keras import ops

Kernel = Callable[[Any], Any]


class Axis(NamedTuple):
    """One axis of the new image: the pixels that count in each of its places, and their weights, both (out, taps)."""

    index: Any
    weight: Any

    @classmethod
    def around(cls, place: Any, reach: Any, size: Any, kernel: Kernel, scale: Any = 1.0) -> Axis:
        """The pixels up to `reach` from each place's nearest, weighted with scale kernel(scale distance)."""
        steps = ops.cast(ops.arange(2 * reach + 1), "int32") - reach
        index = ops.cast(rounded(place), "int32")[:, None] + steps
        weight = scale * kernel(scale * (place[:, None] - ops.cast(index, "float32")))
        there = (index >= 0) & (index < size)
        return cls(ops.where(there, index, -1), ops.where(there, weight, 0))

    def sum(self, x: Any, axis: int) -> Any:
        """The weighted sums along an axis of x; what lies outside does not count, whatever its value."""
        taps = ops.take(x, ops.maximum(self.index, 0), axis=axis)
        shape = [1] * len(taps.shape)
        shape[axis], shape[axis + 1] = ops.shape(self.index)
        weight = ops.reshape(ops.cast(self.weight, x.dtype), shape)
        return ops.sum(ops.where(ops.reshape(self.index >= 0, shape), taps, 0) * weight, axis=axis + 1)


def rounded(x: Any) -> Any:
    """Halves away from zero, as C's round."""
    return ops.sign(x) * ops.floor(ops.abs(x) + 0.5)


def ratio(size: Any, out: Any) -> Any:
    """size / out in float32: a number, or a scalar tensor where one of them is open."""
    if isinstance(size, int) and isinstance(out, int):
        return float(np.float32(size) / np.float32(out))
    return ops.cast(size, "float32") / ops.cast(out, "float32")


def ceiled(x: Any) -> Any:
    """Rounded up to a whole number, which is a tensor where x is."""
    return math.ceil(x) if isinstance(x, float) else ops.cast(ops.ceil(x), "int32")


def linear(t: Any) -> Any:
    """1 - |t| where that is positive."""
    return ops.maximum(1 - ops.abs(t), 0)


def cubic(t: Any) -> Any:
    """Keys's kernel with a = -0.5."""
    t = ops.abs(t)
    inner, outer = ((1.5 * t - 2.5) * t) * t + 1, ((-0.5 * t + 2.5) * t - 4) * t + 2
    return ops.where(t <= 1, inner, ops.where(t < 2, outer, 0))


KERNELS: dict[str, tuple[Kernel, int]] = {"LINEAR": (linear, 2), "CUBIC": (cubic, 4)}
"""{type: (kernel, its width)}"""


def resample(x: Any, height: Any, width: Any, type: str, antialias: bool) -> Any:
    """FlowNet2's Resample.

    Args:
        x: (N, H, W, C).
        height, width: of the new image.
        type: NEAREST, LINEAR or CUBIC.
        antialias: widens the kernels where the image shrinks.

    Returns:
        (N, height, width, C)
    """
    sizes, out = ops.shape(x)[1:3], (height, width)
    factors = [ratio(*pair) for pair in zip(sizes, out, strict=True)]
    # The fork adds the half pixel of the rows to the columns, and the other way round.
    places = [
        ops.cast(ops.arange(n), "float32") * factor + half / 2 - 0.5
        for n, factor, half in zip(out, factors, reversed(factors), strict=True)
    ]
    if type == "NEAREST":
        rows, columns = (ops.clip(ops.cast(rounded(p), "int32"), 0, n - 1) for p, n in zip(places, sizes, strict=True))
        return ops.take(ops.take(x, rows, axis=1), columns, axis=2)
    shrinks = ops.maximum(*factors) > 1 if antialias else False
    axes = [_axis(*of_axis, shrinks, type) for of_axis in zip(places, sizes, factors, strict=True)]
    total = ops.sum(axes[0].weight, axis=1)[:, None] * ops.sum(axes[1].weight, axis=1)
    total = ops.cast(total, x.dtype)[..., None]
    weighted = axes[1].sum(axes[0].sum(x, 1), 2)
    return ops.where(ops.equal(total, 0), 0, weighted / ops.where(ops.equal(total, 0), 1, total))


def _axis(place: Any, size: Any, factor: Any, shrinks: Any, type: str) -> Axis:
    kernel, width = KERNELS[type]
    reach = ceiled(width * max(factor, 1.0) if isinstance(factor, float) else width * ops.maximum(factor, 1.0))
    scale = ops.where(shrinks, 1 / factor, 1.0)
    return Axis.around(place, reach, size, kernel, ops.cast(scale, "float32"))


def downsample(x: Any, height: Any, width: Any) -> Any:
    """FlowNet2's Downsample: triangles around places that reach from corner to corner; NaN counts as missing.

    A pixel is NaN where the missing samples weigh more than half of what the others do.

    Args:
        x: (N, H, W, C).
        height, width: of the new image, at least 2.

    Returns:
        (N, height, width, C)
    """
    rows, columns = (_triangles(*pair) for pair in zip(ops.shape(x)[1:3], (height, width), strict=True))

    def total(values: Any) -> Any:
        return columns.sum(rows.sum(values, 1), 2)

    missing = ops.isnan(x)
    lost = ops.cast(missing, x.dtype)
    weight, lost = total(1 - lost), total(lost)
    return ops.where(lost / weight > 0.5, ops.cast(np.nan, x.dtype), total(ops.where(missing, 0, x)) / weight)


def _triangles(size: Any, out: Any) -> Axis:
    step = ratio(size - 1, out - 1)
    last = [ops.cast(n - 1, "float32") for n in (out, size)]
    place = ops.cast(ops.arange(out), "float32") / last[0] * last[1]
    return Axis.around(place, ceiled(step), size, lambda distance: linear(distance / step))
