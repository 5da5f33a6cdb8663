"""Pooling over any number of spatial axes, one axis after the other, channels last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from keras import ops

from keras_caffe.ops.indices import first_greatest
from keras_caffe.ops.pooling import FLT_MAX, padded


class Windows(NamedTuple):
    """The windows along one axis: `out` of them, `stride` apart, the first `before` pixels ahead of the input."""

    out: Any
    kernel: int
    stride: int
    before: int = 0


def max_pool_nd(x: Any, windows: Sequence[Windows], *, all_ties: bool = False) -> Any:
    """The largest value of each window; -FLT_MAX in one without any input. NaN is never taken, as in Caffe.

    Args:
        x: (N, *spatial, C).
        windows: one for each spatial axis.
        all_ties: every value that equals the largest gets the whole gradient, as in C3D, and not only the first.
    """
    x = ops.where(x > -FLT_MAX, x, -FLT_MAX)
    return _pooled(x, windows, _greatest_of_all if all_ties else _first_greatest, -FLT_MAX)


def sum_pool_nd(x: Any, windows: Sequence[Windows]) -> Any:
    """The sum of each window; x and windows as for `max_pool_nd`."""
    return _pooled(x, windows, lambda taps: ops.sum(taps, axis=0), 0.0)


def _pooled(x: Any, windows: Sequence[Windows], pool: Callable[[Any], Any], fill: float) -> Any:
    # The last axis first, so that the first of equal values is the first in memory's order.
    for axis, along in reversed(list(enumerate(windows, 1))):
        x = pool(ops.stack(_taps(x, axis, along, fill), axis=0))
    return x


def _taps(x: Any, axis: int, along: Windows, fill: float) -> list[Any]:
    """For each pixel of the windows along an axis, that pixel of all of them."""
    reach = (along.out - 1) * along.stride + 1
    after = reach + along.kernel - 1 - along.before - ops.shape(x)[axis]
    after = max(after, 0) if isinstance(after, int) else ops.maximum(after, 0)
    pads = [(along.before, after) if a == axis else (0, 0) for a in range(1, len(x.shape) - 1)]
    x = padded(x, pads, fill)
    windows = (slice(tap, tap + reach, along.stride) for tap in range(along.kernel))
    return [x[tuple([slice(None)] * axis + [window])] for window in windows]


def _first_greatest(taps: Any) -> Any:
    return ops.take_along_axis(taps, first_greatest(taps, axis=0, keepdims=True), axis=0)[0]


def _greatest_of_all(taps: Any) -> Any:
    greatest = ops.max(ops.stop_gradient(taps), axis=0)
    # Infinities, whose difference is NaN, get no gradient.
    equal = ops.where(ops.equal(taps, greatest) & ops.isfinite(greatest), taps, 0)
    return greatest + ops.sum(equal - ops.stop_gradient(equal), axis=0)
