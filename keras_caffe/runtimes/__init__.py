"""What runs an exported net: one file for each engine, which knows files and arrays, but no nets.

Each is a `Runtime`. `converters.proof` runs exports in them, `cv_dnn` nets in memory, and `keras_caffe.engines` models.
"""

from keras_caffe.runtimes.base import Arrays, Runtime, own_words

__all__ = ["Arrays", "Runtime", "own_words"]
