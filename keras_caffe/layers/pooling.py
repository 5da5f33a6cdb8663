"""Pooling (src/caffe/layers/pooling_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_caffe.errors import LayerError, NetError, ShapeError
from keras_caffe.layers.base import Bottom, CaffeLayer, enum_name, serializable
from keras_caffe.layers.spatial import pair
from keras_caffe.ops.pooling import Axis, average_pool, max_pool, max_pool_with_index, stochastic_pool
from keras_caffe.ops.windows import first_global_max
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("Pooling")
class Pooling(CaffeLayer):
    """Maximum, average or a random value of sliding windows.

    P = ceil((H + 2p - k) / s) + 1 windows per axis, one less if either pad is set and the last would start beyond H+p.
    MAX: the first maximum wins, padding never does. AVE: sum over the pixels / the window's area up to H + p (padding
    counts, what sticks out beyond it does not). STOCHASTIC: in training a value drawn with probability x / sum x, else
    sum x^2 / sum x.

    Args:
        pool: "MAX", "AVE" or "STOCHASTIC".
        kernel_size, stride, pad: (height, width) in pixels.
        round_mode: "CEIL" or "FLOOR".
        global_pooling: one window over the whole plane; the other sizes are ignored.
        with_mask: a second top with the index h W + w of each maximum (MAX only).

    Shapes: (N, H, W, C) -> (N, P_h, P_w, C), twice with `with_mask`.

    Raises:
        LayerError, ShapeError: parameters that Caffe refuses, a bottom without exactly 4 axes.

    Caffe: src/caffe/layers/pooling_layer.cpp
    """

    tops = (1, 2)
    stores = "channels_last"

    def __init__(
        self,
        pool: str = "MAX",
        kernel_size: Sequence[int] = (1, 1),
        stride: Sequence[int] = (1, 1),
        pad: Sequence[int] = (0, 0),
        round_mode: str = "CEIL",
        global_pooling: bool = False,
        with_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pool, self.round_mode = pool, round_mode
        self.global_pooling, self.with_mask = global_pooling, with_mask
        self.kernel_size, self.stride, self.pad = tuple(kernel_size), tuple(stride), tuple(pad)
        self.random = keras.random.SeedGenerator() if pool == "STOCHASTIC" else None

    def _axes(self, shape: Sequence[Any]) -> list[Axis]:
        if self.global_pooling:
            return [Axis(size, 1, 0) for size in shape[1:3]]
        ceil, clip = self.round_mode == "CEIL", any(self.pad)
        sizes = zip(self.kernel_size, self.stride, self.pad, strict=True)
        return [Axis(kernel, stride, pad, ceil, clip) for kernel, stride, pad in sizes]

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if self.global_pooling and self.pool != "STOCHASTIC" and not self.with_mask:
            return ops.mean(inputs, axis=(1, 2), keepdims=True) if self.pool == "AVE" else first_global_max(inputs)
        axes = self._axes(ops.shape(inputs))
        if self.with_mask:
            return [max_pool(inputs, axes), max_pool_with_index(inputs, axes)[1]]
        if self.pool == "MAX":
            return max_pool(inputs, axes)
        if self.pool == "AVE":
            return average_pool(inputs, axes)
        return stochastic_pool(inputs, axes, self._draw(inputs, axes) if training else None)

    def _draw(self, x: Any, axes: Sequence[Axis]) -> Any:
        shape = ops.shape(x)
        out = [axis.output(size) for axis, size in zip(axes, shape[1:3], strict=True)]
        return keras.random.uniform((shape[0], *out, shape[3]), dtype=x.dtype, seed=self.random)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        (shape,) = shapes
        if len(shape) != 4:
            raise ShapeError(
                "Pooling needs a bottom with 4 axes", expected="(N, C, H, W)", received=f"{len(shape)} axes"
            )
        out = [1, 1]
        if not self.global_pooling:
            axes = zip(self._axes(shape), shape[1:3], strict=True)
            out = [None if size is None else axis.output(size) for axis, size in axes]
        return [(shape[0], *out, shape[3])] * (2 if self.with_mask else 1)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param, pool = layer.pooling_param, enum_name(layer.pooling_param, "pool")
        with_mask = len(layer.top) == 2
        if with_mask and pool != "MAX":
            raise NetError("only MAX pooling has a second top", expected="1 top", received="2 tops")
        kernel, stride, pad = _sizes(param)
        if param.global_pooling:
            _check_global(param, stride, pad)
        elif any(p >= k for p, k in zip(pad, kernel, strict=True)) and any(pad):
            raise LayerError("pad must be smaller than the kernel", expected=f"less than {kernel}", received=pad)
        if any(pad) and pool == "STOCHASTIC":
            raise LayerError("STOCHASTIC pooling takes no padding", expected="pad 0", received=pad)
        return cls(
            pool=pool,
            kernel_size=kernel,
            stride=stride,
            pad=pad,
            round_mode=_round_mode(param),
            global_pooling=param.global_pooling,
            with_mask=with_mask,
            **kwargs,
        )


def _round_mode(param: Any) -> str:
    """`ceil_mode` is a fork's older spelling of `round_mode`."""
    if param.HasField("ceil_mode") and not param.HasField("round_mode"):
        return "CEIL" if param.ceil_mode else "FLOOR"
    return enum_name(param, "round_mode")


def _sizes(param: Any) -> list[list[int]]:
    kernel = [0, 0]
    if not param.global_pooling or any(map(param.HasField, ("kernel_size", "kernel_h", "kernel_w"))):
        kernel = pair(param, "kernel_size", "kernel_h", "kernel_w", required=not param.global_pooling)
        if 0 in kernel and not param.global_pooling:
            raise LayerError("the kernel must be positive", received=kernel)
    stride = pair(param, "stride", "stride_h", "stride_w")
    if 0 in stride:
        raise LayerError("the stride must be positive", received=stride)
    return [kernel, stride, pair(param, "pad", "pad_h", "pad_w")]


def _check_global(param: Any, stride: list[int], pad: list[int]) -> None:
    if any(map(param.HasField, ("kernel_size", "kernel_h", "kernel_w"))):
        raise LayerError("global_pooling takes the kernel from the bottom", fix="Remove the kernel size.")
    if any(pad) or stride != [1, 1]:
        raise LayerError("global_pooling needs pad 0 and stride 1", received=f"pad {pad}, stride {stride}")
