"""ROIAlign (src/caffe/layers/roi_align_layer.cpp of ports of Detectron's layer)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_caffe.layers.arguments import whole
from keras_caffe.layers.base import Bottom, CaffeLayer, serializable
from keras_caffe.layers.roi_pooling import ROIPooling, pooled_params, regions
from keras_caffe.ops.compiled import compiled
from keras_caffe.ops.roi import roi_align
from keras_caffe.registry import register_layer


@serializable
@register_layer("ROIAlign")
class ROIAlign(ROIPooling):
    """The mean of bilinear samples in each of P_h x P_w bins of each region, without any rounding.

    Forks define this layer in many ways; this is the one that Caffe ports took from Detectron (Mask R-CNN), with
    `sampling_ratio`: corners are scaled, not shifted by half a pixel; a region is at least one pixel wide; samples more
    than one pixel outside the map are 0. No gradient to the regions.

    Args:
        pooled_h, pooled_w: number of bins, at least 1.
        spatial_scale: pixels of the map per pixel of the regions' image (1).
        sampling_ratio: samples per bin and axis; below 1: ceil(size of the region / number of bins) (-1).

    Shapes, Raises: as `ROIPooling`.

    Caffe: src/caffe/layers/roi_align_layer.cpp (ports of Detectron's layer)
    """

    def __init__(self, sampling_ratio: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sampling_ratio: int = whole("sampling_ratio", sampling_ratio)

    @compiled
    def call(self, inputs: Any) -> Any:
        x, rois = ops.cast(inputs[0], self.compute_dtype), regions(inputs[1])
        return roi_align(x, rois, (self.pooled_h, self.pooled_w), self.spatial_scale, self.sampling_ratio)

    @classmethod
    def from_caffe(cls, layer: Any, bottoms: Sequence[Bottom], **kwargs: Any) -> CaffeLayer:
        param = layer.roi_align_param
        return cls(sampling_ratio=param.sampling_ratio, **pooled_params(param), **kwargs)
