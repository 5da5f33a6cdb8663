"""ONNX files, straight from a net's plan; needs NumPy and the package onnx, but no TensorFlow.

A layer class is written by one function, registered with `writes`. The functions stand in a file for each kind of
layer.
"""

from keras_caffe.converters.choices import OPSET
from keras_caffe.onnx import (
    activations,
    axes,
    convolutions,
    deformable,
    detection,
    displaced,
    flow,
    fork_losses,
    losses,
    margins,
    normalization,
    pooling,
    recurrent,
    regions,
    resample,
    yolo,
)
from keras_caffe.onnx.export import to_onnx
from keras_caffe.onnx.registry import writer_of, writes
from keras_caffe.onnx.site import Site

KINDS = (
    activations,
    axes,
    convolutions,
    deformable,
    detection,
    displaced,
    flow,
    fork_losses,
    losses,
    margins,
    normalization,
    pooling,
    recurrent,
    regions,
    resample,
    yolo,
)
"""The modules whose functions write the layers of this package"""

__all__ = ["KINDS", "OPSET", "Site", "to_onnx", "writer_of", "writes"]
