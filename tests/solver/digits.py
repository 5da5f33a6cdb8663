"""LeNet on the sample digits: a solver definition in a folder of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

from keras_caffe import samples

NET = """
name: "LeNet"
layer { name: "mnist" type: "Data" top: "data" top: "label" transform_param { scale: 0.00390625 }
  data_param { source: "records" batch_size: 16 backend: LMDB } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" param { lr_mult: 1 } param { lr_mult: 2 }
  convolution_param { num_output: 6 kernel_size: 5 stride: 2 weight_filler { type: "xavier" } } }
layer { name: "bn1" type: "BatchNorm" bottom: "conv1" top: "conv1" }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "ip2" type: "InnerProduct" bottom: "conv1" top: "ip2"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip2" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" }
"""
SOLVER = """
net: "net.prototxt" type: "Adam" base_lr: 0.001 momentum: 0.9 lr_policy: "step" gamma: 0.5 stepsize: 9
random_seed: 3 snapshot_prefix: "digits" iter_size: 2
"""


def write(folder: Path, text: str = "", net: str = NET) -> Path:
    """Writes net, data and solver with further fields from `text`; returns the solver's path."""
    shutil.copytree(samples.path("db/mnist_test_lmdb"), folder / "records")
    (folder / "net.prototxt").write_text(net)
    (folder / "solver.prototxt").write_text(SOLVER + text)
    return folder / "solver.prototxt"
