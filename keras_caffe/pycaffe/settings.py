"""pycaffe's module functions (python/caffe/_caffe.cpp)."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import tensorflow as tf
from absl import logging

from keras_caffe.registry import registered

_python_layers: Mapping[str, type] = {}
_phase: dict[str, int] = {}


def set_mode_cpu() -> None:
    """Does nothing: TensorFlow uses the devices that it finds (CUDA_VISIBLE_DEVICES hides them)."""


def set_mode_gpu() -> None:
    """Does nothing: TensorFlow uses a GPU if it finds one."""


def set_device(device: int) -> None:
    """Does nothing: TensorFlow uses the first GPU that it finds (CUDA_VISIBLE_DEVICES chooses)."""


def set_phase_test() -> None:
    """2014's: nets that are made from now on without a phase have the phase TEST."""
    _phase["phase"] = 1


def set_phase_train() -> None:
    """2014's: nets that are made from now on without a phase have the phase TRAIN."""
    _phase["phase"] = 0


def phase() -> dict[str, int]:
    """{"phase": that of nets made without one}; empty if no script has set it."""
    return dict(_phase)


def set_random_seed(seed: int) -> None:
    """Seeds fillers, dropout and everything else that is drawn from now on; the numbers are not Caffe's."""
    keras.utils.set_random_seed(seed)


def use_python_layers(classes: Mapping[str, type]) -> None:
    """Sets the `python_layers` of nets that are made without any."""
    global _python_layers
    _python_layers = classes


def python_layers() -> Mapping[str, type]:
    """The `python_layers` of nets that are made without any."""
    return _python_layers


def has_nccl() -> bool:
    """False: several GPUs are used through `tf.distribute` and `keras_caffe.load_solver`."""
    return False


def solver_count() -> int:
    """1: a process has one solver of Caffe's kind."""
    return 1


def solver_rank() -> int:
    """0: the only solver is the first."""
    return 0


def init_log(prefix: str = "", level: int = 0) -> None:
    """Does nothing: Python's own logging is set up by the script."""


def log(message: str) -> None:
    """Writes a line to the log."""
    logging.info("%s", message)


def layer_type_list() -> list[str]:
    """The types of layers that can be built."""
    return list(registered())


def gpus() -> list[tuple[str, tuple[int, int]]]:
    """Name and compute capability of each GPU that TensorFlow sees."""
    found = []
    for device in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(device)
        found.append((details.get("device_name", device.name), details.get("compute_capability", (0, 0))))
    return found
