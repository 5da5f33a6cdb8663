"""Data: records of an LMDB or LevelDB (src/caffe/layers/data_layer.cpp)."""

from __future__ import annotations

from keras_caffe.layers.records import RecordLayer
from keras_caffe.registry import register_layer


@register_layer("Data")
class Data(RecordLayer):
    """Inputs in the shape of the records that Caffe would read; `keras_caffe.dataset` reads them.

    Shapes: no bottoms; data (batch_size, C, H, W) and, if there is a second top, label (batch_size,). H and W are
    crop_size where it is set; what the parameters leave open comes from the first record or from `input_shapes`.

    Raises:
        LayerError: no batch_size, mean_file with mean_value, force_color with force_gray.

    Caffe: src/caffe/layers/data_layer.cpp
    """
