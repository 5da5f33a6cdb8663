"""Whether kernels may use anything but TensorFlow's own operations, or anything but Keras's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import Any

import keras

_STOCK_ONLY: ContextVar[bool] = ContextVar("_STOCK_ONLY", default=False)
_KERAS_ONLY: ContextVar[bool] = ContextVar("_KERAS_ONLY", default=False)
_EIGHT_BITS: ContextVar[Iterator[int] | None] = ContextVar("_EIGHT_BITS", default=None)


def native_ops_allowed() -> bool:
    """False while a model is traced for a TensorFlow that knows no operations but its own."""
    return not _STOCK_ONLY.get()


@contextmanager
def stock_ops_only() -> Iterator[None]:
    """Kernels take their stock path inside; what is traced there runs on any TensorFlow."""
    token = _STOCK_ONLY.set(True)
    try:
        yield
    finally:
        _STOCK_ONLY.reset(token)


def eight_bits() -> bool:
    """True while a model is traced for a file whose values have 8 bits."""
    return _EIGHT_BITS.get() is not None


def next_copy() -> int | None:
    """The number of a copy in such a file, from 1 on; None if no such model is traced."""
    numbers = _EIGHT_BITS.get()
    return None if numbers is None else next(numbers)


@contextmanager
def in_eight_bits(wanted: bool) -> Iterator[None]:
    """What is traced inside suits 8 bits, if they are wanted."""
    token = _EIGHT_BITS.set(count(1) if wanted else None)
    try:
        yield
    finally:
        _EIGHT_BITS.reset(token)


def on_tensorflow() -> bool:
    """Whether kernels may call TensorFlow: Keras runs on it, and nobody asks for Keras's own operations."""
    return keras.backend.backend() == "tensorflow" and not _KERAS_ONLY.get()


def whole_float32() -> None:
    """Switches TensorFlow's TF32 off, for the process: with it, GPUs keep ten bits of float32's fraction where they
    convolve and multiply, and Caffe's numbers are lost in the third digit. Who wants its speed switches it on again.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_tensor_float_32_execution(False)


def loops_allowed() -> bool:
    """False while a graph of `keras.ops` is made, which cannot hold the function that a loop repeats."""
    return not _KERAS_ONLY.get()


def custom_gradient(function: Callable[..., tuple[Any, Any]]) -> Callable[..., Any]:
    """Function decorator: Keras's, but while a graph of `keras.ops` is made, which holds values without gradients."""
    return (lambda *args: function(*args)[0]) if _KERAS_ONLY.get() else keras.ops.custom_gradient(function)


def as_tensor(variable: Any) -> Any:
    """A variable's value; a symbolic tensor that stands for one is its own."""
    return variable if isinstance(variable, keras.KerasTensor) else keras.ops.convert_to_tensor(variable)


@contextmanager
def keras_ops_only() -> Iterator[None]:
    """Kernels take their twins inside: a layer called on symbolic tensors leaves a graph of `keras.ops`."""
    token = _KERAS_ONLY.set(True)
    try:
        with stock_ops_only():
            yield
    finally:
        _KERAS_ONLY.reset(token)
