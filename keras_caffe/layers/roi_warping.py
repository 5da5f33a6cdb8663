"""ROIWarping (daijifeng001/caffe-mnc: roi_warping_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.layers.roi_pooling import ROIPooling, pooled_params, region_rows
from keras_caffe.ops.compiled import compiled
from keras_caffe.ops.roi_samples import roi_warp
from keras_caffe.registry import register_layer


@serializable
@register_layer("ROIWarping")
class ROIWarping(ROIPooling):
    """One bilinear sample at the first corner of each of P_h x P_w bins of each region, which also get a gradient.

    Corners are rounded to pixels (halves away from zero) after scaling; bin i begins at x1 + i (x2 - x1) / P. A sample
    more than half a pixel outside the map is 0, others are moved to its border. The gradients are the fork's: to the
    map without the pixels that it takes to be out of a bin's reach, counting regions one pixel wider; to the corners
    by the slopes of the sample, in the shares 1 - t and t of x1 and x2, t = (x - x1) / (x2 - x1 + 1), where all four
    pixels around the sample are in the map.

    Args:
        pooled_h, pooled_w: number of bins, at least 1.
        spatial_scale: pixels of the map per pixel of the regions' image (1).

    Shapes, Raises: as `ROIPooling`.

    Caffe: src/caffe/layers/roi_warping_layer.cpp (daijifeng001/caffe-mnc)
    """

    kept_bottoms: Sequence[int] = ()

    @compiled
    def call(self, inputs: Any) -> Any:
        x, rois = ops.cast(inputs[0], self.compute_dtype), region_rows(inputs[1])
        return roi_warp(x, rois, (self.pooled_h, self.pooled_w), self.spatial_scale)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        return cls(**pooled_params(layer.roi_warping_param), **kwargs)
