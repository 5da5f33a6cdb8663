"""NdPooling (chuckcho/video-caffe: cudnn_ndpooling_layer.cpp)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError
from keras_caffe.layers.arguments import flag, items, one_of, per_axis
from keras_caffe.layers.base import Bottom, CaffeLayer, enum_name, serializable
from keras_caffe.layers.images import check_images
from keras_caffe.layers.pooling_fields import refuse_3d, three_axes
from keras_caffe.layers.spatial import shape_params
from keras_caffe.ops.pool_axis import Axis
from keras_caffe.ops.pool_nd import Windows, max_pool_nd, sum_pool_nd
from keras_caffe.ops.pooling import extent, global_max_pool
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, Size, total_count


@serializable
@register_layer("NdPooling")
class NdPooling(CaffeLayer):
    """Maximum or average of sliding windows over any number of spatial axes.

    P = ceil((H + 2p - k) / s) + 1 windows per axis; on axes with padding one less if the last would start beyond H + p.
    MAX: the first maximum wins, padding never does. AVE: the sum over the pixels / the whole window's size.

    Pooling of a bottom of five axes, which Intel's Caffe has, becomes this layer with `rule` "POOLING": one window less
    on every such axis if any has padding, and AVE divides by the window's part up to H + p, as with two axes.

    Args:
        pool: "MAX" (default) or "AVE".
        kernel_size: one number per spatial axis, a number alone (1) means two axes. Files must give kernel_shape.
        stride, pad: one number per spatial axis, or one for all (1, 0).
        global_pooling: one window over all spatial axes (False).
        rule: "NDPOOLING" (default) or "POOLING", see above.

    Shapes: (N, *spatial, C) -> (N, *out, C).

    Raises:
        LayerError: STOCHASTIC, or other arguments that are impossible. ShapeError: other spatial axes than the kernel
            has, or a kernel not larger than its pad.

    Caffe: src/caffe/layers/cudnn_ndpooling_layer.cpp, pooling_layer.cpp (chuckcho/video-caffe; intel/caffe)
    """

    stores = "channels_last"
    kept_bottoms: Sequence[int] = (0,)

    def __init__(
        self,
        pool: str = "MAX",
        kernel_size: int | Sequence[int] = 1,
        stride: int | Sequence[int] = 1,
        pad: int | Sequence[int] = 0,
        global_pooling: bool = False,
        rule: str = "NDPOOLING",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        axes = len(items(kernel_size, 2))
        self.pool: str = one_of("pool", pool, ("MAX", "AVE"))
        self.global_pooling: bool = flag("global_pooling", global_pooling)
        self.kernel_size: tuple[int, ...] = per_axis("kernel_size", kernel_size, axes, 1)
        self.stride: tuple[int, ...] = per_axis("stride", stride, axes, 1)
        self.pad: tuple[int, ...] = per_axis("pad", pad, axes)
        self.rule: str = one_of("rule", rule, ("NDPOOLING", "POOLING"))

    def axes(self) -> list[Axis]:
        """The spatial axes as Pooling knows them."""
        any_pad = self.rule == "POOLING" and any(self.pad)
        geometry = zip(self.kernel_size, self.stride, self.pad, strict=True)
        return [Axis(kernel, stride, pad, clip=any_pad or pad > 0) for kernel, stride, pad in geometry]

    def call(self, inputs: Any) -> Any:
        if self.global_pooling:
            return self._global(inputs)
        sizes = ops.shape(inputs)[1:-1]
        windows = list(map(Windows, self._out(sizes), self.kernel_size, self.stride, self.pad))
        if self.pool == "MAX":
            return max_pool_nd(inputs, windows)
        total = sum_pool_nd(inputs, windows)
        return total / (math.prod(self.kernel_size) if self.rule == "NDPOOLING" else self._parts(sizes, total))

    def _parts(self, sizes: Sequence[Any], top: Any) -> Any:
        """(*out, 1): the values of each window up to the end of the padding."""
        spatial = len(sizes)
        lengths = zip(map(extent, sizes, self.axes()), range(spatial), strict=True)
        along = [ops.reshape(length, [-1, *[1] * (spatial - axis)]) for length, axis in lengths]
        return ops.cast(reduce(ops.multiply, along), top.dtype)

    def _global(self, x: Any) -> Any:
        shape = ops.shape(x)
        if self.pool == "AVE":
            return ops.mean(x, axis=tuple(range(1, len(shape) - 1)), keepdims=True)
        greatest = global_max_pool(ops.reshape(x, (shape[0], 1, -1, shape[-1])))
        return ops.reshape(greatest, (shape[0], *[1] * (len(shape) - 2), shape[-1]))

    def _out(self, sizes: Sequence[Any]) -> list[Any]:
        return [None if size is None else axis.output(size) for size, axis in zip(sizes, self.axes(), strict=True)]

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        check_images("NdPooling", *shapes, axes=len(self.kernel_size) + 2)
        (shape,) = shapes
        out: list[Size] = [1] * len(self.kernel_size) if self.global_pooling else self._out(shape[1:-1])
        return [(shape[0], *out, shape[-1])]

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return total_count(bottoms) if self.global_pooling else math.prod(self.kernel_size) * total_count(tops)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.pooling_param
        refuse_3d(param)
        geometry: dict[str, Any] = shape_params(param, bottoms[0].rank - 2)
        return cls(enum_name(param, "pool"), **geometry, global_pooling=param.global_pooling, **kwargs)

    @classmethod
    def of_pooling(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        """The layer for a Pooling of Intel's Caffe whose bottom has five axes."""
        param, method = layer.pooling_param, enum_name(layer.pooling_param, "pool")
        if len(layer.top) > 1:
            raise LayerError("pooling over three axes gives no mask", expected="one top", received=len(layer.top))
        geometry: dict[str, Any] = three_axes(param)
        return cls(method, **geometry, global_pooling=param.global_pooling, rule="POOLING", **kwargs)
