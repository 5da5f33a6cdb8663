"""pycaffe's module functions (python/caffe/_caffe.cpp)."""

from __future__ import annotations

import keras

from keras_caffe.registry import registered


def set_mode_cpu() -> None:
    """Does nothing: TensorFlow uses the devices that it sees (CUDA_VISIBLE_DEVICES hides them)."""


def set_mode_gpu() -> None:
    """Does nothing: TensorFlow uses a GPU if it sees one."""


def set_device(device: int) -> None:
    """Does nothing: TensorFlow takes the first GPU that it sees (CUDA_VISIBLE_DEVICES chooses)."""


def set_random_seed(seed: int) -> None:
    """Seeds fillers, dropout and everything else that is drawn from now on; the numbers are not Caffe's."""
    keras.utils.set_random_seed(seed)


def layer_type_list() -> list[str]:
    """The types of layers that can be built."""
    return list(registered())
