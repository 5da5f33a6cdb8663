"""The pycaffe interface: scripts written for it run with `from keras_caffe import pycaffe as caffe`."""

from __future__ import annotations

from keras_caffe.pycaffe.net import TEST, TRAIN, Net
from keras_caffe.pycaffe.settings import layer_type_list, set_device, set_mode_cpu, set_mode_gpu, set_random_seed

__all__ = [
    "TEST",
    "TRAIN",
    "Net",
    "layer_type_list",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_random_seed",
]
