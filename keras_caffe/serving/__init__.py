"""Exports for TensorFlow Serving and other engines, comparison with what Caffe computed, and timing."""

from keras_caffe.converters.comparison import Comparison, compare
from keras_caffe.converters.preprocessing import Preprocessing
from keras_caffe.onnx import to_onnx
from keras_caffe.serving.export import export
from keras_caffe.serving.tflite import to_tflite
from keras_caffe.serving.timing import layer_times, passes, whole_times

__all__ = [
    "Comparison",
    "Preprocessing",
    "compare",
    "export",
    "layer_times",
    "passes",
    "to_onnx",
    "to_tflite",
    "whole_times",
]
