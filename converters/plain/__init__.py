"""Plain Keras models as Caffe nets: the way back for models that were never Caffe's."""

from keras_caffe.converters.plain.walk import as_caffe, from_keras

__all__ = ["as_caffe", "from_keras"]
