"""AnnotatedData: images with boxes (src/caffe/layers/annotated_data_layer.cpp, branch ssd)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.layers.records import RecordLayer
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Sizes


@register_layer("AnnotatedData")
class AnnotatedData(RecordLayer):
    """Inputs in the shape of the annotated records that SSD would read; `keras_caffe.dataset` reads them.

    Shapes: no bottoms; data (batch_size, C, H, W) with H and W of crop_size or resize_param, label (1, 1, boxes, 8)
    with rows [image in batch, label, instance, xmin, ymin, xmax, ymax, difficult]. The number of boxes differs from
    batch to batch; batch_size stands for it.

    Raises:
        LayerError: as `Data`.

    Caffe: src/caffe/layers/annotated_data_layer.cpp (weiliu89/caffe, branch ssd)
    """

    @classmethod
    def label_shape(cls, batch: int) -> Sizes:
        return (1, 1, batch, 8)

    @classmethod
    def open_axes(cls, layer: Any) -> Sequence[tuple[int, ...]]:
        return [(0,), (2,)][: len(layer.top)]
