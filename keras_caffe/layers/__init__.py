"""One file per Caffe layer type, under Caffe's own name; importing this package registers them all."""

from keras_caffe.layers.convolution import Convolution
from keras_caffe.layers.deconvolution import Deconvolution
from keras_caffe.layers.input import Input
from keras_caffe.layers.relu import ReLU

__all__ = ["Convolution", "Deconvolution", "Input", "ReLU"]
