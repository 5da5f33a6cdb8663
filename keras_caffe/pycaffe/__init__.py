"""The pycaffe interface: scripts written for it run with `from keras_caffe import pycaffe as caffe`."""

from keras_caffe.pycaffe import coord_map, draw, io, proto
from keras_caffe.pycaffe.classifier import Classifier
from keras_caffe.pycaffe.detector import Detector
from keras_caffe.pycaffe.net import TEST, TRAIN, Net
from keras_caffe.pycaffe.net_spec import NetSpec, layers, params, to_proto
from keras_caffe.pycaffe.settings import layer_type_list, set_device, set_mode_cpu, set_mode_gpu, set_random_seed
from keras_caffe.pycaffe.solver import (
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
    get_solver,
)

__all__ = [
    "TEST",
    "TRAIN",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Classifier",
    "Detector",
    "Net",
    "NesterovSolver",
    "NetSpec",
    "RMSPropSolver",
    "SGDSolver",
    "coord_map",
    "draw",
    "get_solver",
    "io",
    "layer_type_list",
    "layers",
    "params",
    "proto",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_random_seed",
    "to_proto",
]
