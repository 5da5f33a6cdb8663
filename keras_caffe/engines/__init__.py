"""One model, several engines: `engine` runs a model in the one that computes it fastest, with the model's numbers."""

from keras_caffe.converters.choices import PRECISIONS
from keras_caffe.engines.choose import engine
from keras_caffe.engines.engine import Engine
from keras_caffe.engines.how import NAMES, TOLERANCES
from keras_caffe.engines.report import Report

__all__ = ["NAMES", "PRECISIONS", "TOLERANCES", "Engine", "Report", "engine"]
