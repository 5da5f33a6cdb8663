"""PSROIPooling (src/caffe/layers/psroi_pooling_layer.cpp of R-FCN's Caffe)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import ShapeError
from keras_caffe.layers.arguments import number, whole
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, required, serializable
from keras_caffe.layers.roi_pooling import number_of_regions, regions
from keras_caffe.layout import Order, caffe_order, channels_last
from keras_caffe.ops.compiled import compiled
from keras_caffe.ops.roi import psroi_average_pool
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape


@serializable
@register_layer("PSROIPooling")
class PSROIPooling(CaffeLayer):
    """The mean in each of G x G bins of each region, every bin from its own channel; 0 in an empty bin.

    Output d of bin (i, j) reads channel (d G + i) G + j. A region runs from scale round(x1) to scale (round(x2) + 1),
    at least 0.1 wide; a bin covers the pixels it touches. No gradient to the regions.

    Args:
        output_dim: D, number of outputs, at least 1.
        group_size: G, at least 1.
        spatial_scale: pixels of the map per pixel of the regions' image, above 0.

    Shapes: map (N, H, W, D G^2), regions (R, 5) of [image, x1, y1, x2, y2] -> (R, G, G, D).

    Raises:
        LayerError, ShapeError: a size that is not positive, channels that are not D G^2, an image index out of range,
            regions of fewer than 5 values when the layer runs.

    Caffe: src/caffe/layers/psroi_pooling_layer.cpp (R-FCN)
    """

    bottoms: Arity = (2, 2)
    stores = "channels_last"
    flops_per_top_value: int | None = None  # the values decide how many pixels a region has

    def __init__(self, output_dim: int, group_size: int, spatial_scale: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.autocast = False  # Half precision cannot hold the corners of regions.
        self.supports_jit = False  # XLA rounds the bins' edges otherwise, and a pixel more or less changes the result.
        self.output_dim: int = whole("output_dim", output_dim, 1)
        self.group_size: int = whole("group_size", group_size, 1)
        self.spatial_scale: float = number("spatial_scale", spatial_scale, above=0)

    @compiled
    def call(self, inputs: Any) -> Any:
        x, rois = ops.cast(inputs[0], self.compute_dtype), regions(inputs[1])
        return psroi_average_pool(x, rois, self.group_size, self.spatial_scale)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        number = number_of_regions(*shapes)
        wanted = self.output_dim * self.group_size**2
        if shapes[0][-1] not in (None, wanted):
            raise ShapeError(
                "the number of channels is not output_dim * group_size^2", expected=wanted, received=shapes[0][-1]
            )
        return [(number, self.group_size, self.group_size, self.output_dim)]

    @classmethod
    def bottom_orders(cls, layer: Any, bottoms: Sequence[Bottom]) -> list[Order]:
        return [channels_last(bottoms[0].rank), caffe_order(bottoms[1].rank)]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.psroi_pooling_param
        return cls(**{name: required(param, name) for name in ("output_dim", "group_size", "spatial_scale")}, **kwargs)
