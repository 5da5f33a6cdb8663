"""The data layers that can be read, by Caffe's name of their type."""

from __future__ import annotations

from keras_caffe.data.sources.annotated_data import AnnotatedData
from keras_caffe.data.sources.base import Settings, Source
from keras_caffe.data.sources.data import Data
from keras_caffe.data.sources.dense_image_data import DenseImageData
from keras_caffe.data.sources.dummy_data import DummyData
from keras_caffe.data.sources.hdf5_data import HDF5Data
from keras_caffe.data.sources.image_data import ImageData
from keras_caffe.data.sources.image_labelmap_data import ImageLabelmapData
from keras_caffe.data.sources.image_seg_data import ImageSegData
from keras_caffe.data.sources.memory_data import MemoryData
from keras_caffe.data.sources.python_data import PythonData
from keras_caffe.data.sources.window_data import WindowData

SOURCES: dict[str, type[Source]] = {
    "AnnotatedData": AnnotatedData,
    "Data": Data,
    "DenseImageData": DenseImageData,
    "DummyData": DummyData,
    "HDF5Data": HDF5Data,
    "ImageData": ImageData,
    "ImageLabelmapData": ImageLabelmapData,
    "ImageSegData": ImageSegData,
    "MemoryData": MemoryData,
    "Python": PythonData,
    "WindowData": WindowData,
}

__all__ = ["SOURCES", "Settings", "Source"]
