"""Interp (hszhao/PSPNet: interp_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers.arguments import optional, per_axis, whole
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.ops.interp import interp
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, Size


@serializable
@register_layer("Interp")
class Interp(CaffeLayer):
    """Bilinear resizing whose corners fall on the corners of the bottom, after cropping.

    n = size + pad_beg + pad_end; the top has `size` if given, else m + (m - 1)(zoom_factor - 1) pixels with
    m = trunc((n - 1) / shrink_factor) + 1. Its pixel i lies at i (n - 1) / (top's size - 1).

    Args:
        size: (height, width) of the top in pixels, or one number for both; None (default): the factors tell.
        zoom_factor, shrink_factor: for the top's size where `size` is None, at least 1 (default).
        pad_beg, pad_end: pixels before and behind along both axes; 0 (default), or negative for cropping.

    Shapes: (N, H, W, C) -> (N, height, width, C).

    Raises:
        LayerError, ShapeError: no size and no factor, factors below 1, positive padding, not 4 axes, nothing left.

    Caffe: src/caffe/layers/interp_layer.cpp (hszhao/PSPNet)
    """

    stores = "channels_last"
    flops_per_top_value: int | None = 7  # 4 products, 3 sums

    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        zoom_factor: int = 1,
        shrink_factor: int = 1,
        pad_beg: int = 0,
        pad_end: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.size: tuple[int, ...] | None = optional(per_axis, "size (height, width)", size, 2, 1)
        self.zoom_factor: int = whole("zoom_factor", zoom_factor, 1)
        self.shrink_factor: int = whole("shrink_factor", shrink_factor, 1)
        self.pad_beg: int = whole("pad_beg", pad_beg, most=0)
        self.pad_end: int = whole("pad_end", pad_end, most=0)

    def call(self, inputs: Any) -> Any:
        _, height, width, _ = ops.shape(inputs)
        first, rows, columns = -self.pad_beg, height + self.pad_end, width + self.pad_end
        return interp(inputs[:, first:rows, first:columns], *self._out(height, width))

    def _out(self, height: Any, width: Any) -> Sequence[Any]:
        return self.size or (self._resized(height), self._resized(width))

    def _resized(self, size: Any) -> Any:
        shrunk = (size + self.pad_beg + self.pad_end - 1) // self.shrink_factor + 1
        return shrunk + (shrunk - 1) * (self.zoom_factor - 1)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        (shape,) = shapes
        if len(shape) != 4:
            raise ShapeError("Interp needs a bottom with 4 axes", received=shape)
        cropped = -self.pad_beg - self.pad_end
        if any(size is not None and size <= cropped for size in shape[1:3]):
            raise ShapeError(
                "Interp crops everything away", expected=f"more than {cropped} pixels", received=shape[1:3]
            )
        out: Sequence[Size] = self.size or [None if size is None else self._resized(size) for size in shape[1:3]]
        return [(shape[0], *out, shape[3])]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.interp_param
        zoom, shrink = param.HasField("zoom_factor"), param.HasField("shrink_factor")
        sized = param.HasField("height") and param.HasField("width")
        if not (zoom or shrink or sized):
            raise LayerError("Interp has no size", expected="height and width, zoom_factor or shrink_factor")
        # One factor alone comes before a size, both come after it.
        names = ("height", "width") if sized and zoom == shrink else ("zoom_factor", "shrink_factor")
        values = {name: getattr(param, name) for name in names}
        sizes = {"size": tuple(values.values())} if "height" in values else values
        return cls(**sizes, pad_beg=param.pad_beg, pad_end=param.pad_end, **kwargs)
