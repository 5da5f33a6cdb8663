"""Caffe networks as Keras models, with Caffe's numbers."""

from keras_caffe import requirements  # isort: skip  # first: it says what to install where TensorFlow is missing
from typing import TYPE_CHECKING

from keras_caffe.version import __version__

if not TYPE_CHECKING:
    __getattr__, __dir__ = requirements.later, requirements.names
else:  # what `later` imports when it is asked for
    from keras_caffe import beam, cv_dnn, data, known, plots, pycaffe
    from keras_caffe import serving as serving
    from keras_caffe.code import to_code
    from keras_caffe.converters.check import check
    from keras_caffe.converters.comparison import compare
    from keras_caffe.data.dataset import dataset
    from keras_caffe.engines.choose import engine
    from keras_caffe.onnx import to_onnx
    from keras_caffe.page import view
    from keras_caffe.plain import to_keras
    from keras_caffe.serving.export import export
    from keras_caffe.solver.load import load_solver

if not requirements.COMMAND_LINE:
    from keras_caffe import layers, losses, metrics, ops, optimizers
    from keras_caffe.converters.fold import fold
    from keras_caffe.converters.load import load
    from keras_caffe.converters.model import CaffeModel
    from keras_caffe.converters.save import save
    from keras_caffe.errors import CaffeError, CaffeWarning
    from keras_caffe.registry import register_layer

__all__ = [
    "CaffeError", "CaffeModel", "CaffeWarning", "__version__", "beam", "check", "compare", "cv_dnn", "data", "dataset",
    "engine", "export", "fold", "known", "layers", "load", "load_solver", "losses", "metrics", "ops", "optimizers",
    "plots", "pycaffe", "register_layer", "save", "to_code", "to_keras", "to_onnx", "view",
]  # fmt: skip
