"""Pooling along one axis as Caffe lays its windows (pooling_layer.cpp)."""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from keras_caffe.shapes import pool_output


class Axis(NamedTuple):
    """Pooling along one spatial axis: window `kernel`, `stride` and `pad` in pixels, and the rounding rules."""

    kernel: int
    stride: int
    pad: int
    ceil: bool = True
    clip: bool = False

    def output(self, size: Any) -> Any:
        """Number of windows for an input of `size`, which may be a tensor."""
        if isinstance(size, int):
            return pool_output(size, self.kernel, self.stride, self.pad, ceil=self.ceil, clip=self.clip)
        span = size + 2 * self.pad - self.kernel
        out = (-(-span // self.stride) if self.ceil else span // self.stride) + 1
        if self.clip:
            out = out - ops.cast((out - 1) * self.stride >= size + self.pad, "int32")
        return out

    def overhang(self, size: Any) -> Any:
        """How far the last window reaches beyond the input; negative if rows at the end stay unused."""
        return (self.output(size) - 1) * self.stride + self.kernel - self.pad - size
