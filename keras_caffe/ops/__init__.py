"""Numeric kernels: a portable twin in `keras.ops` each, with a faster TensorFlow or native path where there is one."""

from keras_caffe.ops.native import NativeStatus, native_status

__all__ = ["NativeStatus", "native_status"]
