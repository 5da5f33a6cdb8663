"""Caffe's data layers as tf.data."""

from keras_caffe.converters.read_weights import read_mean
from keras_caffe.data import first_record as first_record  # tells `keras_caffe.load` the shapes of sources
from keras_caffe.data.caffe_dataset import CaffeDataset
from keras_caffe.data.dataset import dataset
from keras_caffe.data.graph import decode_record
from keras_caffe.data.transform import Transform
from keras_caffe.data.writers import write, write_hdf5

__all__ = ["CaffeDataset", "Transform", "dataset", "decode_record", "read_mean", "write", "write_hdf5"]
