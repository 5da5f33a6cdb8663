"""Normalize (weiliu89/caffe ssd, src/caffe/layers/normalize_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe import fillers
from keras_caffe.errors import Cure, LayerError, Option, ShapeError
from keras_caffe.layers.arguments import filler, flag, number, one_of
from keras_caffe.layers.base import Arity, Blob, Bottom, CaffeLayer, serializable
from keras_caffe.layers.context import load_context
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, known


@serializable
@register_layer("Normalize")
class Normalize(CaffeLayer):
    """y = scale x / sqrt(sum x^2 + eps), the sum over the channels of a pixel or over a whole image.

    A file with `normalize_param` or a second top, or loaded with fork="happynear", means `NormalizeChannels` by it.

    Args:
        across_spatial: sum over channels, height and width (True); else over the channels alone.
        channel_shared: one scale for all channels (True: a blob without axes); else one for each.
        eps: added inside the root (1e-10).
        scale_filler: see `keras_caffe.fillers`; None = constant 1.

    Shapes: (N, [H, W,] C); the top has the bottom's shape.

    Raises:
        ShapeError: not 2 to 4 axes.

    Caffe: src/caffe/layers/normalize_layer.cpp (weiliu89/caffe, branch ssd)
    """

    tops: Arity = (1, 2)
    stores = "channels_last"
    flops_per_top_value: int | None = 3  # square, sum, product
    other_blobs: Sequence[Cure] = (
        "The SSD fork's Normalize has a scale, that of happynear/caffe-windows no blob.",
        Option("fork", "happynear", "if the net was written for the latter"),
    )

    def __init__(
        self,
        across_spatial: bool = True,
        channel_shared: bool = True,
        eps: float = 1e-10,
        scale_filler: fillers.Filler | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.across_spatial: bool = flag("across_spatial", across_spatial)
        self.channel_shared: bool = flag("channel_shared", channel_shared)
        self.eps: float = number("eps", eps)
        self.scale_filler: fillers.Filler = filler(
            "scale_filler", fillers.ONE if scale_filler is None else scale_filler
        )

    def call(self, inputs: Any) -> Any:
        if self.channel_shared:
            return self._normalized(inputs) * self.scale
        # Caffe scales the bottom's gradient last, as if the scales were one: the true gradient scales the top's first.
        still = ops.stop_gradient(inputs)
        unit = self._normalized(still + (inputs - still) * ops.stop_gradient(self.scale))
        return ops.stop_gradient(unit) * self.scale + (unit - ops.stop_gradient(unit))

    def _normalized(self, x: Any) -> Any:
        axes = tuple(range(1, len(x.shape))) if self.across_spatial else -1
        # TensorFlow Lite makes a norm without eps of ops.square.
        return x * ops.rsqrt(ops.sum(x * x, axis=axes, keepdims=True) + self.eps)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        if not 2 <= len(shapes[0]) <= 4:
            raise ShapeError("Normalize needs 2 to 4 axes", received=shapes[0])
        return [shapes[0]]

    def blob_table(self, *shapes: Shape) -> list[Blob]:
        return [Blob("scale", () if self.channel_shared else known(shapes[0][-1:]), self.scale_filler)]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        marks = {"normalize_param": layer.HasField("normalize_param"), "a second top": len(layer.top) > 1}
        mark = next((name for name, there in marks.items() if there), None)
        if mark and layer.HasField("norm_param"):
            raise LayerError(f"norm_param is the SSD fork's Normalize, {mark} that of happynear/caffe-windows")
        if mark or load_context().fork == "happynear":
            return NormalizeChannels.from_caffe(layer, bottoms, **kwargs)
        param = layer.norm_param
        scale = fillers.from_caffe(param.scale_filler) if param.HasField("scale_filler") else None
        return cls(param.across_spatial, param.channel_shared, param.eps, scale, **kwargs)


@serializable
class NormalizeChannels(CaffeLayer):
    """y = x / n with n = sqrt(sum x^2 + 1e-6), or sum |x| + 1e-6, over the channels of a pixel; a second top is n.

    Args:
        normalize_type: "L2" or "L1" ("L2").
        bp_norm: the second top's gradient counts (False).
        with_norm: give the second top (False).

    Shapes: (N, [H, W,] C) -> (N, H, W, C) [, (N, H, W, 1)]; missing sizes are 1.

    Raises:
        ShapeError: not 2 to 4 axes.

    Caffe: src/caffe/layers/normalize_layer.cpp (happynear/caffe-windows)
    """

    tops: Arity = (1, 2)
    stores = "channels_last"
    flops_per_top_value: int | None = 3

    def __init__(
        self, normalize_type: str = "L2", bp_norm: bool = False, with_norm: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.normalize_type: str = one_of("normalize_type", normalize_type, ("L2", "L1"))
        self.bp_norm: bool = flag("bp_norm", bp_norm)
        self.with_norm: bool = flag("with_norm", with_norm)

    def call(self, inputs: Any) -> Any:
        batch, *sizes, channels = ops.shape(inputs)
        x = ops.reshape(inputs, (batch, *sizes, *(1,) * (2 - len(sizes)), channels))
        if self.normalize_type == "L1":
            norm = ops.sum(ops.abs(x), axis=-1, keepdims=True) + 1e-6
        else:
            norm = ops.sqrt(ops.sum(x * x, axis=-1, keepdims=True) + 1e-6)  # x * x as above
        if not self.with_norm:
            return x / norm
        return [x / norm, norm if self.bp_norm else ops.stop_gradient(norm)]

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        if not 2 <= len(shapes[0]) <= 4:
            raise ShapeError("Normalize needs 2 to 4 axes", received=shapes[0])
        batch, *sizes, channels = shapes[0]
        pixels = (batch, *sizes, *(1,) * (2 - len(sizes)))
        return [(*pixels, channels), (*pixels, 1)][: 1 + self.with_norm]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.normalize_param
        return cls(param.normalize_type, param.bp_norm, len(layer.top) > 1, **kwargs)
