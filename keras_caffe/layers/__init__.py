"""One file per Caffe layer type, under Caffe's own name; importing this package registers them all."""

from keras_caffe.layers.abs_val import AbsVal
from keras_caffe.layers.accuracy import Accuracy
from keras_caffe.layers.annotated_data import AnnotatedData
from keras_caffe.layers.arg_max import ArgMax
from keras_caffe.layers.axpy import Axpy
from keras_caffe.layers.batch_norm import BatchNorm
from keras_caffe.layers.batch_reindex import BatchReindex
from keras_caffe.layers.bias import Bias
from keras_caffe.layers.bn import BN
from keras_caffe.layers.bnll import BNLL
from keras_caffe.layers.center_loss import CenterLoss
from keras_caffe.layers.clip import Clip
from keras_caffe.layers.concat import Concat
from keras_caffe.layers.continuation_indicator import ContinuationIndicator
from keras_caffe.layers.contrastive_loss import ContrastiveLoss
from keras_caffe.layers.convolution import Convolution
from keras_caffe.layers.convolution_depthwise import ConvolutionDepthwise
from keras_caffe.layers.crop import Crop
from keras_caffe.layers.data import Data
from keras_caffe.layers.deconvolution import Deconvolution
from keras_caffe.layers.depthwise_convolution import DepthwiseConvolution
from keras_caffe.layers.detection_evaluate import DetectionEvaluate
from keras_caffe.layers.detection_output import DetectionOutput
from keras_caffe.layers.dropout import Dropout
from keras_caffe.layers.dummy_data import DummyData
from keras_caffe.layers.eltwise import Eltwise
from keras_caffe.layers.elu import ELU
from keras_caffe.layers.embed import Embed
from keras_caffe.layers.euclidean_loss import EuclideanLoss
from keras_caffe.layers.exp import Exp
from keras_caffe.layers.filter import Filter
from keras_caffe.layers.flatten import Flatten
from keras_caffe.layers.hdf5_data import HDF5Data
from keras_caffe.layers.hdf5_output import HDF5Output
from keras_caffe.layers.hinge_loss import HingeLoss
from keras_caffe.layers.im2col import Im2col
from keras_caffe.layers.image_data import ImageData
from keras_caffe.layers.infogain_loss import InfogainLoss
from keras_caffe.layers.inner_product import InnerProduct
from keras_caffe.layers.input import Input
from keras_caffe.layers.interp import Interp
from keras_caffe.layers.l2_norm import L2Norm
from keras_caffe.layers.log import Log
from keras_caffe.layers.lrn import LRN
from keras_caffe.layers.lstm import LSTM
from keras_caffe.layers.lstm_unit import LSTMUnit
from keras_caffe.layers.maxout import Maxout
from keras_caffe.layers.memory_data import MemoryData
from keras_caffe.layers.multi_box_loss import MultiBoxLoss
from keras_caffe.layers.multinomial_logistic_loss import MultinomialLogisticLoss
from keras_caffe.layers.mvn import MVN
from keras_caffe.layers.normalize import Normalize
from keras_caffe.layers.parameter import Parameter
from keras_caffe.layers.permute import Permute
from keras_caffe.layers.pooling import Pooling
from keras_caffe.layers.power import Power
from keras_caffe.layers.prelu import PReLU
from keras_caffe.layers.prior_box import PriorBox
from keras_caffe.layers.proposal import Proposal
from keras_caffe.layers.psroi_pooling import PSROIPooling
from keras_caffe.layers.python import Python
from keras_caffe.layers.reduction import Reduction
from keras_caffe.layers.relu import ReLU
from keras_caffe.layers.relu6 import ReLU6
from keras_caffe.layers.reorg import Reorg
from keras_caffe.layers.reshape import Reshape
from keras_caffe.layers.rnn import RNN
from keras_caffe.layers.roi_align import ROIAlign
from keras_caffe.layers.roi_pooling import ROIPooling
from keras_caffe.layers.scale import Scale
from keras_caffe.layers.shuffle_channel import ShuffleChannel
from keras_caffe.layers.sigmoid import Sigmoid
from keras_caffe.layers.sigmoid_cross_entropy_loss import SigmoidCrossEntropyLoss
from keras_caffe.layers.silence import Silence
from keras_caffe.layers.slice import Slice
from keras_caffe.layers.smooth_l1_loss import SmoothL1Loss
from keras_caffe.layers.softmax import Softmax
from keras_caffe.layers.softmax_with_loss import SoftmaxWithLoss
from keras_caffe.layers.split import Split
from keras_caffe.layers.spp import SPP
from keras_caffe.layers.swish import Swish
from keras_caffe.layers.tanh import TanH
from keras_caffe.layers.threshold import Threshold
from keras_caffe.layers.tile import Tile
from keras_caffe.layers.upsample import Upsample
from keras_caffe.layers.video_data import VideoData
from keras_caffe.layers.window_data import WindowData
from keras_caffe.layers.yolov3_detection_output import Yolov3DetectionOutput

__all__ = [
    "BN",
    "BNLL",
    "ELU",
    "LRN",
    "LSTM",
    "MVN",
    "RNN",
    "SPP",
    "AbsVal",
    "Accuracy",
    "AnnotatedData",
    "ArgMax",
    "Axpy",
    "BatchNorm",
    "BatchReindex",
    "Bias",
    "CenterLoss",
    "Clip",
    "Concat",
    "ContinuationIndicator",
    "ContrastiveLoss",
    "Convolution",
    "ConvolutionDepthwise",
    "Crop",
    "Data",
    "Deconvolution",
    "DepthwiseConvolution",
    "DetectionEvaluate",
    "DetectionOutput",
    "Dropout",
    "DummyData",
    "Eltwise",
    "Embed",
    "EuclideanLoss",
    "Exp",
    "Filter",
    "Flatten",
    "HDF5Data",
    "HDF5Output",
    "HingeLoss",
    "Im2col",
    "ImageData",
    "InfogainLoss",
    "InnerProduct",
    "Input",
    "Interp",
    "L2Norm",
    "LSTMUnit",
    "Log",
    "Maxout",
    "MemoryData",
    "MultiBoxLoss",
    "MultinomialLogisticLoss",
    "Normalize",
    "PReLU",
    "PSROIPooling",
    "Parameter",
    "Permute",
    "Pooling",
    "Power",
    "PriorBox",
    "Proposal",
    "Python",
    "ROIAlign",
    "ROIPooling",
    "ReLU",
    "ReLU6",
    "Reduction",
    "Reorg",
    "Reshape",
    "Scale",
    "ShuffleChannel",
    "Sigmoid",
    "SigmoidCrossEntropyLoss",
    "Silence",
    "Slice",
    "SmoothL1Loss",
    "Softmax",
    "SoftmaxWithLoss",
    "Split",
    "Swish",
    "TanH",
    "Threshold",
    "Tile",
    "Upsample",
    "VideoData",
    "WindowData",
    "Yolov3DetectionOutput",
]
