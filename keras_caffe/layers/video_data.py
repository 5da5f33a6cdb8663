"""VideoData: frames of a camera or a video file (src/caffe/layers/video_data_layer.cpp, branch ssd)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.errors import Cure
from keras_caffe.layers.records import RecordLayer
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Size


@register_layer("VideoData")
class VideoData(RecordLayer):
    """Inputs in the shape of the frames that SSD would grab.

    Shapes: no bottoms; data (batch_size, 3, H, W) with H and W of crop_size or resize_param, and, if there is a second
    top, label (batch_size,).

    Raises:
        LayerError: as `Data`.

    Caffe: src/caffe/layers/video_data_layer.cpp (weiliu89/caffe, branch ssd)
    """

    @classmethod
    def channels(cls, layer: Any) -> Size:
        return 3

    @classmethod
    def cures(cls, layer: Any) -> tuple[Sequence[Cure], Sequence[Cure]]:
        return (), ()
