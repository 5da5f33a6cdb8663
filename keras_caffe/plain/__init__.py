"""Caffe nets as models of Keras's own layers and operations."""

from keras_caffe.plain import convolutions, layers, pooling, recurrent  # noqa: F401  # They fill the registry.
from keras_caffe.plain.export import to_keras

__all__ = ["to_keras"]
