"""Padding (TheLegendAli/DeepLab-Context: padding_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import LayerError, ShapeError
from keras_caffe.layers.arguments import whole
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.layers.images import check_images
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("Padding")
class Padding(CaffeLayer):
    """Pads images with zeros, or crops them where the numbers are negative, by the same along height and width.

    Args:
        pad_beg, pad_end: pixels added above and left, below and right; 0 (default), or negative for cropping. They may
            not have different signs.

    Shapes: (N, H, W, C) -> (N, H + pad_beg + pad_end, W + pad_beg + pad_end, C).

    Raises:
        LayerError, ShapeError: different signs, not 4 axes, nothing left.

    Caffe: src/caffe/layers/padding_layer.cpp (TheLegendAli/DeepLab-Context)
    """

    stores = "channels_last"
    flops_per_top_value: int | None = 0  # it moves values

    def __init__(self, pad_beg: int = 0, pad_end: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pad_beg: int = whole("pad_beg", pad_beg)
        self.pad_end: int = whole("pad_end", pad_end)
        if self.pad_beg * self.pad_end < 0:
            raise LayerError("pad_beg and pad_end have different signs", received=f"{pad_beg} and {pad_end}")

    def call(self, inputs: Any) -> Any:
        begin, end = self.pad_beg, self.pad_end
        if begin >= 0 and end >= 0:
            return ops.pad(inputs, ((0, 0), (begin, end), (begin, end), (0, 0)))
        _, height, width, _ = ops.shape(inputs)
        return inputs[:, -begin : height + end, -begin : width + end]

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        (shape,) = shapes
        check_images("Padding", shape)
        more = self.pad_beg + self.pad_end
        sizes = [None if size is None else size + more for size in shape[1:3]]
        if any(size is not None and size <= 0 for size in sizes):
            raise ShapeError("Padding crops everything away", expected=f"more than {-more} pixels", received=shape[1:3])
        return [(shape[0], *sizes, shape[3])]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        return cls(layer.padding_param.pad_beg, layer.padding_param.pad_end, **kwargs)
