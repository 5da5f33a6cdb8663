"""The name `caffe` for keras_caffe.pycaffe: both names give the same modules."""

from caffe import _keras_caffe

_keras_caffe.refuse_beside_a_real_caffe()

from keras_caffe.pycaffe import install  # noqa: E402  (a real Caffe is told of before TensorFlow is loaded)

install(force=True)  # puts keras_caffe.pycaffe in this module's place
