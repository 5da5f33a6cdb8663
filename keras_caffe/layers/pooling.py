"""Pooling (src/caffe/layers/pooling_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers.arguments import flag, one_of, per_axis
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, enum_name, serializable
from keras_caffe.layers.nd_pooling import NdPooling
from keras_caffe.layers.pooling_fields import kernel, refuse_3d, round_mode, states_3d
from keras_caffe.layers.spatial import pair, refuse_shapes
from keras_caffe.ops.pool_axis import POOLS, Axis
from keras_caffe.ops.pooling import average_pool, global_max_pool, max_pool, max_pool_with_index, stochastic_pool
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, total_count


@serializable
@register_layer("Pooling")
class Pooling(CaffeLayer):
    """Maximum, average or a random value of sliding windows.

    P = ceil((H + 2p - k) / s) + 1 windows per axis, one less if either pad is set and the last would start beyond H+p.
    MAX: the first maximum wins, padding never does. AVE: sum / the window's area up to H + p (padding counts, what
    sticks out beyond it does not). STOCHASTIC: in training drawn with probability x / sum x, else sum x^2 / sum x.

    Args:
        pool: "MAX" (default), "AVE" or "STOCHASTIC".
        kernel_size, stride, pad: (height, width) in pixels, or one number for both (1, 1, 0).
        round_mode: "CEIL" (default) or "FLOOR".
        global_pooling: one window over the whole plane (False); `kernel_size` is ignored, stride and pad are 1 and 0.
        with_mask: a second top with the index h W + w of each maximum (False; MAX only).

    Shapes: (N, H, W, C) -> (N, P_h, P_w, C), twice with `with_mask`. A file's Pooling of a bottom of five axes, with
    Intel's `kernel_size_3d`, `stride_3d` and `pad_3d`, becomes an NdPooling.

    Raises:
        LayerError, ShapeError: parameters that Caffe refuses, a bottom without exactly 4 axes.

    Examples:
        >>> keras_caffe.layers.Pooling(kernel_size=3, stride=2).compute_output_shape((1, 6, 6, 8))
        (1, 3, 3, 8)

    Caffe: src/caffe/layers/pooling_layer.cpp
    """

    tops: Arity = (1, 2)
    stores = "channels_last"
    kept_bottoms: Sequence[int] = (0,)

    def __init__(
        self,
        pool: str = "MAX",
        kernel_size: int | Sequence[int] = 1,
        stride: int | Sequence[int] = 1,
        pad: int | Sequence[int] = 0,
        round_mode: str = "CEIL",
        global_pooling: bool = False,
        with_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pool: str = one_of("pool", pool, POOLS)
        self.round_mode: str = one_of("round_mode", round_mode, ("CEIL", "FLOOR"))
        self.global_pooling: bool = flag("global_pooling", global_pooling)
        self.with_mask: bool = flag("with_mask", with_mask)
        self.kernel_size: tuple[int, ...] = per_axis("kernel_size", kernel_size, 2, 0 if self.global_pooling else 1)
        self.stride: tuple[int, ...] = per_axis("stride", stride, 2, 1)
        self.pad: tuple[int, ...] = per_axis("pad", pad, 2)
        self._check()
        self.random: Any = keras.random.SeedGenerator() if self.pool == "STOCHASTIC" else None

    def _check(self) -> None:
        """Refuses arguments that contradict each other."""
        if self.with_mask and self.pool != "MAX":
            raise LayerError("only MAX pooling has a second top, the mask", received=self.pool)
        if self.global_pooling:
            if any(self.pad) or self.stride != (1, 1):
                received = f"pad {self.pad}, stride {self.stride}"
                raise LayerError("global_pooling needs pad 0 and stride 1", received=received)
        elif any(p >= k for p, k in zip(self.pad, self.kernel_size, strict=True)):
            wanted = f"less than {self.kernel_size}"
            raise LayerError("pad must be smaller than the kernel", expected=wanted, received=self.pad)
        if any(self.pad) and self.pool == "STOCHASTIC":
            raise LayerError("STOCHASTIC pooling takes no padding", expected="pad 0", received=self.pad)

    def _axes(self, shape: Sequence[Any]) -> list[Axis]:
        if self.global_pooling:
            return [Axis(size, 1, 0) for size in shape[1:3]]
        ceil, clip = self.round_mode == "CEIL", any(self.pad)
        return [Axis(*sizes, ceil, clip) for sizes in zip(self.kernel_size, self.stride, self.pad, strict=True)]

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if self.global_pooling and self.pool != "STOCHASTIC" and not self.with_mask:
            return global_max_pool(inputs) if self.pool == "MAX" else ops.mean(inputs, axis=(1, 2), keepdims=True)
        axes = self._axes(ops.shape(inputs))
        if self.with_mask:
            return list(max_pool_with_index(inputs, axes))
        if self.pool != "STOCHASTIC":
            return max_pool(inputs, axes, training) if self.pool == "MAX" else average_pool(inputs, axes)
        return stochastic_pool(inputs, axes, self._draw(inputs, axes) if training else None)

    def _draw(self, x: Any, axes: Sequence[Axis]) -> Any:
        batch, *sizes, channels = ops.shape(x)
        out = (axis.output(size) for axis, size in zip(axes, sizes, strict=True))
        return keras.random.uniform((batch, *out, channels), dtype=x.dtype, seed=self.random)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        (shape,) = shapes
        if len(shape) != 4:
            raise ShapeError("Pooling needs a bottom with 4 axes", received=shape)
        sizes = zip(self._axes(shape), shape[1:3], strict=True)
        out = [1, 1] if self.global_pooling else [None if size is None else axis.output(size) for axis, size in sizes]
        return [(shape[0], *out, shape[3])] * (2 if self.with_mask else 1)

    def flops(self, bottoms: Sequence[Shape], tops: Sequence[Shape]) -> int:
        return total_count(bottoms) if self.global_pooling else total_count([self.kernel_size]) * total_count(tops[:1])

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.pooling_param
        refuse_shapes(param)
        if bottoms[0].rank == 5 and (param.global_pooling or states_3d(param)):
            return NdPooling.of_pooling(layer, bottoms, **kwargs)
        refuse_3d(param)
        return cls(
            pool=enum_name(param, "pool"),
            **kernel(param),
            stride=pair(param, "stride", "stride_h", "stride_w"),
            pad=pair(param, "pad", "pad_h", "pad_w"),
            round_mode=round_mode(param),
            global_pooling=param.global_pooling,
            with_mask=len(layer.top) == 2,
            **kwargs,
        )
