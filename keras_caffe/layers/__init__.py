"""One file per Caffe layer type, under Caffe's own name; importing this package registers them all."""

from keras_caffe.layers.accuracy import Accuracy
from keras_caffe.layers.annotated_data import AnnotatedData
from keras_caffe.layers.batch_norm import BatchNorm
from keras_caffe.layers.bias import Bias
from keras_caffe.layers.center_loss import CenterLoss
from keras_caffe.layers.concat import Concat
from keras_caffe.layers.contrastive_loss import ContrastiveLoss
from keras_caffe.layers.convolution import Convolution
from keras_caffe.layers.crop import Crop
from keras_caffe.layers.data import Data
from keras_caffe.layers.deconvolution import Deconvolution
from keras_caffe.layers.dropout import Dropout
from keras_caffe.layers.dummy_data import DummyData
from keras_caffe.layers.eltwise import Eltwise
from keras_caffe.layers.elu import ELU
from keras_caffe.layers.euclidean_loss import EuclideanLoss
from keras_caffe.layers.flatten import Flatten
from keras_caffe.layers.hdf5_data import HDF5Data
from keras_caffe.layers.hinge_loss import HingeLoss
from keras_caffe.layers.image_data import ImageData
from keras_caffe.layers.infogain_loss import InfogainLoss
from keras_caffe.layers.inner_product import InnerProduct
from keras_caffe.layers.input import Input
from keras_caffe.layers.lrn import LRN
from keras_caffe.layers.lstm import LSTM
from keras_caffe.layers.lstm_unit import LSTMUnit
from keras_caffe.layers.memory_data import MemoryData
from keras_caffe.layers.multinomial_logistic_loss import MultinomialLogisticLoss
from keras_caffe.layers.parameter import Parameter
from keras_caffe.layers.permute import Permute
from keras_caffe.layers.pooling import Pooling
from keras_caffe.layers.power import Power
from keras_caffe.layers.prelu import PReLU
from keras_caffe.layers.relu import ReLU
from keras_caffe.layers.reshape import Reshape
from keras_caffe.layers.rnn import RNN
from keras_caffe.layers.scale import Scale
from keras_caffe.layers.sigmoid import Sigmoid
from keras_caffe.layers.sigmoid_cross_entropy_loss import SigmoidCrossEntropyLoss
from keras_caffe.layers.silence import Silence
from keras_caffe.layers.slice import Slice
from keras_caffe.layers.smooth_l1_loss import SmoothL1Loss
from keras_caffe.layers.softmax import Softmax
from keras_caffe.layers.softmax_with_loss import SoftmaxWithLoss
from keras_caffe.layers.split import Split
from keras_caffe.layers.tanh import TanH
from keras_caffe.layers.video_data import VideoData
from keras_caffe.layers.window_data import WindowData

__all__ = [
    "ELU",
    "LRN",
    "LSTM",
    "RNN",
    "Accuracy",
    "AnnotatedData",
    "BatchNorm",
    "Bias",
    "CenterLoss",
    "Concat",
    "ContrastiveLoss",
    "Convolution",
    "Crop",
    "Data",
    "Deconvolution",
    "Dropout",
    "DummyData",
    "Eltwise",
    "EuclideanLoss",
    "Flatten",
    "HDF5Data",
    "HingeLoss",
    "ImageData",
    "InfogainLoss",
    "InnerProduct",
    "Input",
    "LSTMUnit",
    "MemoryData",
    "MultinomialLogisticLoss",
    "PReLU",
    "Parameter",
    "Permute",
    "Pooling",
    "Power",
    "ReLU",
    "Reshape",
    "Scale",
    "Sigmoid",
    "SigmoidCrossEntropyLoss",
    "Silence",
    "Slice",
    "SmoothL1Loss",
    "Softmax",
    "SoftmaxWithLoss",
    "Split",
    "TanH",
    "VideoData",
    "WindowData",
]
