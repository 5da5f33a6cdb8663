"""Pooling along one axis as Caffe lays its windows (pooling_layer.cpp)."""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from keras_caffe.shapes import pool_output

POOLS = ("MAX", "AVE", "STOCHASTIC")


class Axis(NamedTuple):
    """Pooling along one spatial axis: window `kernel`, `stride` and `pad` in pixels, and the rounding rules."""

    kernel: int
    stride: int
    pad: int
    ceil: bool = True
    clip: bool = False

    def output(self, size: Any) -> Any:
        """Number of windows for an input of `size`, which may be a tensor."""
        return pool_output(size, self.kernel, self.stride, self.pad, ceil=self.ceil, clip=self.clip)

    def framed(self, size: Any) -> Any:
        """`output`, or 1 where there is no window, which some of TensorFlow's kernels do not survive."""
        out = self.output(size)
        return max(out, 1) if isinstance(out, int) else ops.maximum(out, 1)

    def overhang(self, size: Any) -> Any:
        """How far the last of the `framed` windows reaches beyond the input; negative if rows stay unused."""
        return (self.framed(size) - 1) * self.stride + self.kernel - self.pad - size
