"""ImageLabelmapData: images and maps of their edges (HED, src/caffe/layers/image_labelmap_data_layer.cpp)."""

from __future__ import annotations

from keras_caffe.layers.label_maps import LabelMaps
from keras_caffe.registry import register_layer


@register_layer("ImageLabelmapData")
class ImageLabelmapData(LabelMaps):
    """Inputs in the shape of the images and maps that HED would read; `keras_caffe.dataset` reads them.

    Shapes: no bottoms; data (batch_size, 3 or 1 with is_color: false, H, W), label (batch_size, 1, H, W) of 0 and 1.
    H and W are crop_size, else new_height and new_width, else those of the first image.

    Raises:
        LayerError: as `ImageData`.

    Caffe: src/caffe/layers/image_labelmap_data_layer.cpp (s9xie/hed)
    """
