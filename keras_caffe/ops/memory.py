"""Arrays become tensors without a second copy, and variables without a kernel each."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import numpy as np
from keras import ops

ALIGNMENT = 64
"""Bytes; TensorFlow takes over memory that starts at a multiple of this, and copies other memory."""


def adopt(array: np.ndarray) -> Any:
    """A tensor with the array's values, in the array's own memory where the backend can use it.

    Args:
        array: C-contiguous and not used afterwards.
    """
    if keras.backend.backend() == "tensorflow" and array.nbytes and array.ctypes.data % ALIGNMENT == 0:
        import tensorflow as tf

        if tf.executing_eagerly() and array.flags.writeable:
            return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
    return ops.convert_to_tensor(array)


def unscoped() -> AbstractContextManager[None]:
    """Where variables are made that TensorFlow calls by their last name alone; Keras's paths stay whole.

    TensorFlow makes a kernel for each name that it has not seen, which takes as long as all else of a small variable.
    """
    if keras.backend.backend() != "tensorflow":
        return nullcontext()
    import tensorflow as tf

    return tf.name_scope("")
