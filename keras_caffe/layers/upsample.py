"""Upsample (eric612/MobileNet-YOLO, SegNet: upsample_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers.arguments import each_axis, flag, optional, per_axis
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, serializable
from keras_caffe.layers.context import load_context
from keras_caffe.ops.unpool import unpool
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, same_shape

SEGNET_SCALE = 2  # its message has another default than that of the YOLO ports


@serializable
@register_layer("Upsample")
class Upsample(CaffeLayer):
    """One bottom: every pixel `scale` times in each direction. Two: values go to where the second, a mask, says.

    The mask is the second top of a MAX pooling: the index h W + w in the plane of the top.

    Args:
        scale: (height, width) of the top over those of the bottom, or one number for both (2).
        size: (height, width) of the top with a mask, instead of a scale (None).
        pad_out: (height, width): one pixel less with a mask, for bottoms that pooling rounded up (False).

    Shapes: (N, H, W, C) -> (N, s_h H, s_w W, C).

    Raises:
        LayerError, ShapeError: a scale below 1, not 4 axes, a mask of another shape or (once called) beyond the top, or
            none in a net of SegNet's.

    Caffe: src/caffe/layers/upsample_layer.cpp (eric612/MobileNet-YOLO; alexgkendall/caffe-segnet)
    """

    bottoms: Arity = (1, 2)
    stores = "channels_last"
    flops_per_top_value: int | None = 0  # it moves values

    def __init__(
        self,
        scale: int | Sequence[int] = 2,
        size: int | Sequence[int] | None = None,
        pad_out: bool | Sequence[bool] = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)  # Half precision has no room for the mask.
        self.scale: tuple[int, ...] = per_axis("scale", scale, 2, 1)
        self.size: tuple[int, ...] | None = optional(per_axis, "size", size, 2, 1)
        self.pad_out: tuple[bool, ...] = tuple(flag("pad_out", less) for less in each_axis("pad_out", pad_out, 2))

    def call(self, inputs: Any) -> Any:
        if isinstance(inputs, (list, tuple)):
            x = ops.cast(inputs[0], self.compute_dtype)
            return unpool(x, inputs[1], *self._out(*ops.shape(x)[1:3]))
        x = ops.cast(inputs, self.compute_dtype)
        return ops.repeat(ops.repeat(x, self.scale[0], axis=1), self.scale[1], axis=2)

    def _out(self, height: Any, width: Any) -> tuple[Any, ...]:
        sizes = zip((height, width), self.scale, self.pad_out, strict=True)
        return self.size or tuple(None if n is None else n * scale - int(less) for n, scale, less in sizes)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        shape = shapes[0]
        if len(shape) != 4:
            raise ShapeError("Upsample needs a bottom with 4 axes", received=shape)
        for mask in shapes[1:]:
            same_shape(shape, mask, "the mask of Upsample must have the shape of the first bottom")
        return [(shape[0], *self._out(*shape[1:3]), shape[3])]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.upsample_param
        segnets = any(map(param.HasField, ("pad_out_h", "pad_out_w", "upsample_h", "upsample_w")))
        if len(bottoms) == 1 and (segnets or load_context().fork == "segnet"):
            raise LayerError("SegNet's Upsample takes values and their mask", expected="2 bottoms", received=1)
        scale = SEGNET_SCALE if len(bottoms) == 2 and not param.HasField("scale") else param.scale
        scales = (
            (param.scale_h, param.scale_w) if param.HasField("scale_h") or param.HasField("scale_w") else (scale,) * 2
        )
        if len(bottoms) == 1:
            return cls(scale=scales, **kwargs)
        size = (param.upsample_h, param.upsample_w) if param.upsample_h and param.upsample_w else None
        return cls(scale=scales, size=size, pad_out=(param.pad_out_h, param.pad_out_w), **kwargs)
