"""Pooling3D (facebookarchive/C3D: pooling3d_layer.cpp)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import ShapeError
from keras_caffe.layers.arguments import one_of, per_axis, whole
from keras_caffe.layers.base import Bottom, CaffeLayer, enum_name, required, serializable
from keras_caffe.layers.images import check_images
from keras_caffe.ops.pool_nd import Windows, max_pool_nd, sum_pool_nd
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, Size, pool_output, shown_as, total_count


@serializable
@register_layer("Pooling3D")
class Pooling3D(CaffeLayer):
    """Maximum or average of sliding windows over frames, rows and columns.

    P = ceil((H + 2p - k) / s) + 1 windows per axis; p is 0 along the frames. MAX: windows begin at multiples of s, even
    with padding; one without any pixel gives -FLT_MAX; every pixel that equals the maximum gets the whole gradient.
    AVE: windows begin p pixels earlier; the sum over the pixels is divided by the window's size up to H + p.

    Args:
        pool: "MAX" (default) or "AVE".
        kernel_size: (frames, rows, columns), or one number for all (1). Files must give it, and kernel_depth.
        stride: likewise (1).
        pad: pixels around rows and columns (0).

    Shapes: (N, L, H, W, C) -> (N, L', H', W', C).

    Raises:
        LayerError: STOCHASTIC, which the fork has not, or other arguments that are impossible.
        ShapeError: a bottom without exactly 5 axes, no windows, or a kernel not larger than its pad.

    Caffe: src/caffe/layers/pooling3d_layer.cpp (facebookarchive/C3D)
    """

    stores = "channels_last"
    kept_bottoms: Sequence[int] = (0,)

    def __init__(
        self,
        pool: str = "MAX",
        kernel_size: int | Sequence[int] = 1,
        stride: int | Sequence[int] = 1,
        pad: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pool: str = one_of("pool", pool, ("MAX", "AVE"))
        self.pad: int = whole("pad", pad, 0)
        self.kernel_size: tuple[int, ...] = per_axis("kernel_size", kernel_size, 3, 1)
        self.stride: tuple[int, ...] = per_axis("stride", stride, 3, 1)

    def _out(self, sizes: Sequence[Any]) -> list[Any]:
        axes = zip(sizes, self.kernel_size, self.stride, (0, self.pad, self.pad), strict=True)
        return [pool_output(*axis) for axis in axes]

    def call(self, inputs: Any) -> Any:
        sizes = ops.shape(inputs)[1:4]
        out = self._out(sizes)
        if self.pool == "MAX":
            windows = list(map(Windows, out, self.kernel_size, self.stride))
            return max_pool_nd(inputs, windows, all_ties=True)
        windows = list(map(Windows, out, self.kernel_size, self.stride, (0, self.pad, self.pad)))
        frames, rows, columns = (_extents(*axis) for axis in zip(windows, sizes, strict=True))
        size = frames[:, None, None] * rows[:, None] * columns
        return sum_pool_nd(inputs, windows) / ops.cast(size, inputs.dtype)[..., None]

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        check_images("Pooling3D", *shapes, axes=5)
        (shape,) = shapes
        out: list[Size] = self._out(shape[1:4])
        if any(size is not None and size < 1 for size in out):
            raise ShapeError("Pooling3D has no windows", expected=f"at least {self.kernel_size}", received=shape[1:4])
        return [shown_as(shape, (shape[0], *out, shape[4]))]

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return math.prod(self.kernel_size) * total_count(tops)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.pooling3d_param
        size = required(param, "kernel_size")
        return cls(
            pool=enum_name(param, "pool"),
            kernel_size=(required(param, "kernel_depth"), size, size),
            stride=(param.temporal_stride, param.stride, param.stride),
            pad=param.pad,
            **kwargs,
        )


def _extents(along: Windows, size: Any) -> Any:
    """(out,) pixels of each window up to the end of the padding."""
    start = ops.cast(ops.arange(along.out), "int32") * along.stride - along.before
    return ops.cast(ops.minimum(start + along.kernel, size + along.before) - start, "float32")
