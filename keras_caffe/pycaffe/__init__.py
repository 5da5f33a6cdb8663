"""The pycaffe interface: scripts written for it run with `from keras_caffe import pycaffe as caffe`."""

import sys
from types import ModuleType

from keras_caffe.ops.python_layer import BlobVec
from keras_caffe.pycaffe import coord_map, draw, io, proto
from keras_caffe.pycaffe.blob import NetBlob
from keras_caffe.pycaffe.classifier import Classifier
from keras_caffe.pycaffe.detector import Detector
from keras_caffe.pycaffe.install import install
from keras_caffe.pycaffe.layer import Layer
from keras_caffe.pycaffe.net import TEST, TRAIN, Net
from keras_caffe.pycaffe.net_spec import NetSpec, layers, params, to_proto
from keras_caffe.pycaffe.parallel import NCCL, Timer, set_multiprocess, set_solver_count, set_solver_rank
from keras_caffe.pycaffe.settings import (
    has_nccl,
    init_log,
    layer_type_list,
    log,
    set_device,
    set_mode_cpu,
    set_mode_gpu,
    set_phase_test,
    set_phase_train,
    set_random_seed,
    solver_count,
    solver_rank,
)
from keras_caffe.pycaffe.solver import (
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
    Solver,
    get_solver,
)

__version__ = "1.0.0"  # of the Caffe whose interface this is
pycaffe: ModuleType = sys.modules[__name__]  # scripts look for names there, too
_caffe = pycaffe
RawBlobVec = BlobVec  # scripts compare the type of `net.params[...]` with both
Blob = NetBlob

__all__ = [
    "Blob",
    "BlobVec",
    "NCCL",
    "RawBlobVec",
    "Solver",
    "Timer",
    "set_multiprocess",
    "set_solver_count",
    "set_solver_rank",
    "TEST",
    "TRAIN",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Classifier",
    "Detector",
    "Layer",
    "Net",
    "NesterovSolver",
    "NetSpec",
    "RMSPropSolver",
    "SGDSolver",
    "coord_map",
    "draw",
    "get_solver",
    "has_nccl",
    "init_log",
    "install",
    "io",
    "layer_type_list",
    "layers",
    "log",
    "params",
    "proto",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_phase_test",
    "set_phase_train",
    "set_random_seed",
    "solver_count",
    "solver_rank",
    "to_proto",
]
