"""ROIPooling (src/caffe/layers/roi_pooling_layer.cpp of py-faster-rcnn's Caffe)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.errors import ShapeError
from keras_caffe.layers.arguments import number, whole
from keras_caffe.layers.base import Arity, Bottom, CaffeLayer, required, serializable
from keras_caffe.layout import Order, caffe_order, channels_last
from keras_caffe.ops.compiled import compiled
from keras_caffe.ops.roi import roi_max_pool
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, Size, count


@serializable
@register_layer("ROIPooling")
class ROIPooling(CaffeLayer):
    """The maximum in each of P_h x P_w bins of each region of interest; 0 in an empty bin.

    Corners are rounded to pixels (halves away from zero) after scaling; a region is at least one pixel; bin i covers
    [floor(i s / P), ceil((i + 1) s / P)) of its s pixels, cut to the map. The gradient goes to the first maximum, and
    not to the regions.

    Args:
        pooled_h, pooled_w: number of bins, at least 1.
        spatial_scale: pixels of the map per pixel of the regions' image (1).

    Shapes: map (N, H, W, C), regions (R, 5) of [image, x1, y1, x2, y2] -> (R, pooled_h, pooled_w, C). Further values of
    a region are not read.

    Raises:
        LayerError, ShapeError: pooled_h or pooled_w missing, another number of axes, an image index out of range,
            regions of fewer than 5 values when the layer runs.

    Caffe: src/caffe/layers/roi_pooling_layer.cpp (Fast R-CNN)
    """

    bottoms: Arity = (2, 2)
    stores = "channels_last"
    flops_per_top_value: int | None = None  # the values decide how many pixels a region has
    kept_bottoms: Sequence[int] = (0,)

    def __init__(self, pooled_h: int, pooled_w: int, spatial_scale: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.autocast = False  # Half precision cannot hold the corners of regions.
        self.supports_jit = False  # XLA finds other windows.
        self.pooled_h: int = whole("pooled_h", pooled_h, 1)
        self.pooled_w: int = whole("pooled_w", pooled_w, 1)
        self.spatial_scale: float = number("spatial_scale", spatial_scale)

    @compiled
    def call(self, inputs: Any) -> Any:
        x, rois = ops.cast(inputs[0], self.compute_dtype), regions(inputs[1])
        return roi_max_pool(x, rois, (self.pooled_h, self.pooled_w), self.spatial_scale)

    def top_shapes(self, *shapes: Shape) -> list[Shape]:
        return [(number_of_regions(*shapes), self.pooled_h, self.pooled_w, shapes[0][-1])]

    @classmethod
    def bottom_orders(cls, layer: Any, bottoms: Sequence[Bottom]) -> list[Order]:
        return [channels_last(bottoms[0].rank), caffe_order(bottoms[1].rank)]

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        return cls(**pooled_params(layer.roi_pooling_param), **kwargs)


def pooled_params(param: Any) -> dict[str, Any]:
    """pooled_h, pooled_w and spatial_scale; raises LayerError where a number of bins is missing."""
    bins = {name: required(param, name) for name in ("pooled_h", "pooled_w")}
    return {**bins, "spatial_scale": param.spatial_scale}


def number_of_regions(x: Shape, rois: Shape) -> Size:
    """R. Caffe's Reshape reads nothing else of the regions' shape: a file may hold a placeholder, resized at run time.

    Raises ShapeError unless x is a map and rois has at most the 4 axes of Caffe's old blobs.
    """
    if len(x) != 4:
        raise ShapeError("the first bottom needs 4 axes", received=x)
    if len(rois) > 4:
        raise ShapeError("the second bottom is not a list of regions", expected="(R, 5)", received=rois)
    return rois[0] if rois else 1


def regions(rois: Any) -> Any:
    """As `region_rows`; no gradient flows to them."""
    return ops.stop_gradient(region_rows(rois))


def region_rows(rois: Any) -> Any:
    """(R, 5), also from (R, 5, 1, 1) and from longer rows. Raises ShapeError for shorter ones."""
    values = count(tuple(rois.shape[1:]))
    if values is not None and values < 5:
        expected = "5 numbers for each: image, x1, y1, x2, y2"
        raise ShapeError("the second bottom is not a list of regions", expected=expected, received=tuple(rois.shape))
    rows = ops.reshape(rois, (-1, values or 5))
    return rows if values in (5, None) else rows[:, :5]
