"""Caffe networks as Keras models, with Caffe's numbers."""

from keras_caffe import requirements  # isort: skip  # first: it says what to install where TensorFlow is missing
from keras_caffe.version import __version__

__getattr__ = requirements.later

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
