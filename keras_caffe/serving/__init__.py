"""Exports for TensorFlow Serving and other engines, and comparison with what Caffe computed."""

from keras_caffe.serving.export import export
from keras_caffe.serving.onnx import to_onnx
from keras_caffe.serving.preprocessing import Preprocessing

__all__ = ["Preprocessing", "export", "to_onnx"]
