"""SPP: spatial pyramid pooling (src/caffe/layers/spp_layer.cpp)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_caffe.errors import ShapeError
from keras_caffe.layers.arguments import one_of, whole
from keras_caffe.layers.base import Bottom, CaffeLayer, enum_name, required, serializable
from keras_caffe.layout import Order, caffe_order, channels_last
from keras_caffe.ops.pool_axis import POOLS, Axis
from keras_caffe.ops.pooling import average_pool, max_pool, stochastic_pool
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, Size, Sizes, ceil_div, count, known


@serializable
@register_layer("SPP")
class SPP(CaffeLayer):
    """Pooling on grids of 1, 2, 4, ... bins per axis, one after the other in one vector.

    Level l has n = 2^l bins: kernel and stride ceil(H / n), pad floor((n kernel - H + 1) / 2), then as `Pooling`.

    Args:
        pyramid_height: number of levels, 1 to 30.
        pool: "MAX" (default), "AVE" or "STOCHASTIC".

    Shapes: (N, H, W, C) -> (N, sum of C P_h P_w over the levels), each level in the order C, H, W; with one level the
    pooled map itself, (N, 1, 1, C). H and W must be known.

    Raises:
        LayerError, ShapeError: no pyramid_height, a level whose padding is not smaller than its kernel.

    Caffe: src/caffe/layers/spp_layer.cpp
    """

    stores = "channels_last"
    kept_bottoms: Sequence[int] = (0,)

    def __init__(self, pyramid_height: int, pool: str = "MAX", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Caffe makes a net of poolings, splits and a concatenation; from 2^31 bins on it would not even count them.
        self.pyramid_height: int = whole("pyramid_height", pyramid_height, 1, 30)
        self.pool: str = one_of("pool", pool, POOLS)
        self.random: Any = keras.random.SeedGenerator() if self.pool == "STOCHASTIC" else None

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        levels = [self._pool(inputs, axes, training) for axes in self.levels(inputs.shape[1:3])]
        if len(levels) == 1:
            return levels[0]
        flat = [ops.reshape(ops.transpose(y, (0, 3, 1, 2)), (-1, y.shape[1] * y.shape[2] * y.shape[3])) for y in levels]
        return ops.concatenate(flat, axis=1)

    def _pool(self, x: Any, axes: Sequence[Axis], training: bool | None) -> Any:
        if self.pool != "STOCHASTIC":
            return (max_pool if self.pool == "MAX" else average_pool)(x, axes)
        shape = ops.shape(x)
        out = [axis.output(size) for axis, size in zip(axes, shape[1:3], strict=True)]
        draw = (shape[0], *out, shape[3])
        return stochastic_pool(x, axes, keras.random.uniform(draw, seed=self.random) if training else None)

    def levels(self, sizes: Sequence[Size]) -> list[list[Axis]]:
        """The poolings of each level for images of this height and width, which must be known."""
        return [_axes(known(sizes), 2**level) for level in range(self.pyramid_height)]

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        (shape,) = shapes
        if len(shape) != 4 or None in shape[1:3]:
            raise ShapeError("SPP needs 4 axes with known height and width", received=shape)
        sizes = [
            [axis.output(size) for axis, size in zip(axes, shape[1:3], strict=True)] for axes in self.levels(shape[1:3])
        ]
        if len(sizes) == 1:
            return [(shape[0], *sizes[0], shape[3])]
        return [(shape[0], count((shape[3], sum(high * wide for high, wide in sizes))))]

    def top_orders(self, orders: Sequence[Order], ranks: Sequence[int]) -> list[Order]:
        return [channels_last(rank) if rank == 4 else caffe_order(rank) for rank in ranks]

    def flops(self, bottoms: Sequence[Sizes], tops: Sequence[Sizes]) -> int:
        """As Pooling, over all levels."""
        (images, channels, *sizes) = bottoms[0]
        levels = self.levels(sizes)
        windows = (math.prod(a.kernel * a.output(n) for a, n in zip(axes, sizes, strict=True)) for axes in levels)
        return images * channels * sum(windows)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.spp_param
        return cls(pyramid_height=required(param, "pyramid_height"), pool=enum_name(param, "pool"), **kwargs)


def _axes(sizes: Sequence[int], bins: int) -> list[Axis]:
    kernel = [ceil_div(size, bins) for size in sizes]
    pad = [(k * bins - size + 1) // 2 for k, size in zip(kernel, sizes, strict=True)]
    if any(p and p >= k for p, k in zip(pad, kernel, strict=True)):
        raise ShapeError(
            f"{bins} bins are too many for this bottom", received=f"size {sizes}, kernel {kernel}, pad {pad}"
        )
    return [Axis(k, k, p, clip=any(pad)) for k, p in zip(kernel, pad, strict=True)]
