"""VideoData: frames of a camera or a video file (src/caffe/layers/video_data_layer.cpp of two forks)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_caffe.errors import Cure
from keras_caffe.layers.base import enum_name
from keras_caffe.layers.records import RecordLayer, positive
from keras_caffe.registry import register_layer
from keras_caffe.shapes import Shape, Size


@register_layer("VideoData")
class VideoData(RecordLayer):
    """Inputs in the shape of the frames that SSD would grab, or temporal segment networks read.

    The latter's set batch_size in video_data_param: each video gives num_segments new_length frames of 3 channels, or
    2 of optical flow (modality).

    Shapes: no bottoms; data (batch_size, C, H, W), H and W of crop_size, of resize_param (SSD) or of new_height and
    new_width; C is 3, or 3 or 2 times the number of frames. If there is a second top, label (batch_size,), or
    (batch_size, 1, 1, 1) with temporal segment networks.

    Raises:
        LayerError: as `Data`.

    Caffe: src/caffe/layers/video_data_layer.cpp (weiliu89/caffe, branch ssd; lxx1991/caffe_mpi)
    """

    @classmethod
    def batch_size(cls, layer: Any) -> int:
        name = "video_data_param" if of_segments(layer) else cls.param
        return positive(getattr(layer, name), "batch_size", name)

    @classmethod
    def channels(cls, layer: Any) -> Size:
        param = layer.video_data_param
        if not of_segments(layer):
            return 3
        return {"RGB": 3, "FLOW": 2}[enum_name(param, "modality")] * param.new_length * param.num_segments

    @classmethod
    def source_size(cls, layer: Any, record: Sequence[Size]) -> Sequence[Size]:
        param = layer.video_data_param
        return (param.new_height, param.new_width) if param.new_height and param.new_width else record

    @classmethod
    def top_sizes(cls, layer: Any) -> Sequence[Shape]:
        data, label = super().top_sizes(layer)
        return [data, (*label, 1, 1, 1) if of_segments(layer) else label]

    @classmethod
    def cures(cls, layer: Any) -> tuple[Sequence[Cure], Sequence[Cure]]:
        return (), ()


def of_segments(layer: Any) -> bool:
    """Whether temporal segment networks' Caffe reads it, and not SSD's."""
    return bool(layer.video_data_param.HasField("batch_size"))
