"""Numeric kernels: a portable twin in `keras.ops` each, with a faster TensorFlow or native path where there is one."""

from keras_caffe.ops.native import NativeStatus, native_status
from keras_caffe.ops.stock import whole_float32

__all__ = ["NativeStatus", "native_status"]

whole_float32()
