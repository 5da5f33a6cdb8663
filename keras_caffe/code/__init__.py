"""Nets as Python files that a person would have written."""

from keras_caffe.code.write import to_code

__all__ = ["to_code"]
