"""The native operations of ops/: found, checked and loaded when they are first wanted."""

from __future__ import annotations

import ctypes
import logging
import os
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from threading import RLock
from typing import Any, NamedTuple

import keras

from keras_caffe.errors import CaffeError
from keras_caffe.ops.stock import native_ops_allowed

SWITCH = "KERAS_CAFFE_NATIVE"
FOLDER = Path(__file__).parent
BUILT_FOR = re.compile(rb"KERAS_CAFFE_TENSORFLOW=([\w.+-]{1,40});")

_LOADING = RLock()
_GRADIENTS: dict[str, Callable[..., Any]] = {}


class NativeStatus(NamedTuple):
    """Whether the native operations are used.

    Args:
        loaded: they are.
        library: their file, if one was found.
        reason: why they are not; empty if they are.
    """

    loaded: bool
    library: str | None
    reason: str


class NativeError(CaffeError):
    """Native operations were asked for and cannot be had."""


def native_status() -> NativeStatus:
    """Whether the native operations are used, and if not, why.

    The environment variable KERAS_CAFFE_NATIVE decides: "0" never, "1" always (a `CaffeError` where they cannot be
    loaded), "auto" (the default) where they can and are faster. A library is loaded only if it was built for this
    TensorFlow; `scripts/build_ops.sh` builds one.

    Raises:
        CaffeError: KERAS_CAFFE_NATIVE has another value.
    """
    choice = os.environ.get(SWITCH, "auto")
    if choice not in ("0", "1", "auto"):
        raise NativeError(f"{SWITCH} has an unknown value", expected="0, 1 or auto", received=repr(choice))
    if choice == "0":
        return NativeStatus(False, None, f"{SWITCH}=0")
    if keras.backend.backend() != "tensorflow":
        return NativeStatus(False, None, f"Keras runs on {keras.backend.backend()}")
    return _loaded()[0]


def operation(name: str, x: Any = None, *, faster: bool = True) -> Callable[..., Any] | None:
    """The function of a native operation, or None where its twin is to be taken.

    Args:
        name: as in the library, such as "Lrn".
        x: what it is to work on; None for what is no tensor of Keras's.
        faster: on a CPU it is faster than the twin (docs/benchmarks.md); one that is not is taken with
            KERAS_CAFFE_NATIVE=1, and on GPUs.

    Raises:
        CaffeError: KERAS_CAFFE_NATIVE=1, and the library cannot be loaded.
    """
    if not _wanted() or (x is not None and not _takes(x)):
        return None
    if not faster and os.environ.get(SWITCH, "auto") == "auto" and not has_gpu():
        return None
    return function(name)


def plain_function(name: str) -> Any:
    """A function of the library that works on memory, not on tensors; None where its twin is to be taken.

    Raises:
        CaffeError: KERAS_CAFFE_NATIVE=1, and the library cannot be loaded.
    """
    return getattr(_memory_functions(), name, None) if _wanted() else None  # a library of older sources lacks some


def _wanted() -> bool:
    """Whether the library is to be used, and can be.

    Raises:
        CaffeError: KERAS_CAFFE_NATIVE=1, and it cannot.
    """
    if os.environ.get(SWITCH) == "0" or not native_ops_allowed():
        return False
    status = native_status()
    if not status.loaded and os.environ.get(SWITCH) == "1":
        raise NativeError(
            "the native operations cannot be used",
            received=status.reason,
            fix=f"Build them with scripts/build_ops.sh, or set {SWITCH}=auto.",
        )
    return status.loaded


@cache
def _memory_functions() -> ctypes.CDLL:
    return ctypes.CDLL(str(native_status().library))


def function(name: str) -> Callable[..., Any]:
    """The function of an operation whatever the switch says now, for the gradient of one that is in use."""
    return getattr(_loaded()[1], "keras_caffe" + re.sub("([A-Z])", r"_\1", name).lower())


def _takes(x: Any) -> bool:
    """Whether the operations work on x: a tensor with values (not one that Keras makes up to learn shapes) of a number
    type that they know, in no graph for XLA, which has TensorFlow's own operations only.
    """
    import tensorflow as tf

    if not isinstance(x, tf.Tensor) or x.dtype not in (tf.float32, tf.bfloat16):
        return False
    return not made_for_xla()


def made_for_xla() -> bool:
    """Whether the graph that is being made is for XLA."""
    import tensorflow as tf
    from tensorflow.python.ops import control_flow_util

    if tf.executing_eagerly():
        return False
    return control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())


def _loaded() -> tuple[NativeStatus, Any]:
    """What `_load` gives. Threads that read data may come at the same time, and a cache lets both of them load."""
    with _LOADING:
        return _load()


@cache
def _load() -> tuple[NativeStatus, Any]:
    """The state and the library's functions, once for the process; a line in the log if there is a library in vain."""
    import tensorflow as tf

    library, reason = _find(tf.__version__)
    if not reason:
        try:
            functions = tf.load_op_library(str(library))
        except (tf.errors.OpError, OSError) as error:
            reason = f"{library} cannot be loaded: {str(error).splitlines()[0]}"
    if reason:
        if library:
            logging.getLogger("keras_caffe").warning("Native operations are not used: %s", reason)
        return NativeStatus(False, str(library) if library else None, reason), None
    _register_gradients()
    return NativeStatus(True, str(library), ""), functions


@cache
def has_gpu() -> bool:
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def _find(version: str) -> tuple[Path | None, str]:
    """The library for a TensorFlow, and why it cannot be used."""
    libraries = sorted(FOLDER.glob("native-*.so"))
    fits = [path for path in libraries if _built_for(path) == version]
    if not fits:
        if not libraries:
            return None, "no library has been built (scripts/build_ops.sh builds it)"
        others = ", ".join(f"{path.name} for TensorFlow {_built_for(path) or '?'}" for path in libraries)
        return libraries[0], f"this is TensorFlow {version}, and there is {others}; scripts/build_ops.sh builds another"
    if has_gpu() and b"keras_caffe_max_pool" not in fits[0].read_bytes():
        return fits[0], f"{fits[0].name} has no CUDA kernels, and TensorFlow uses a GPU"
    return fits[0], ""


def _built_for(library: Path) -> str | None:
    """The TensorFlow that a library states in its file: loading one that was built for another may end the process."""
    match = BUILT_FOR.search(library.read_bytes())
    return match[1].decode() if match else None


def gradient_of(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator of an operation's gradient function; it is registered when the library is loaded."""

    def keep(function: Callable[..., Any]) -> Callable[..., Any]:
        _GRADIENTS[name] = function
        return function

    return keep


def gradients_of_gradient(twin: Callable[[Any], Any], x: Any, dy: Any, upstream: Any) -> tuple[Any, Any]:
    """Gradients of the gradient dx(x, dy) of a function, by x and dy, through its twin."""
    import tensorflow as tf

    with tf.GradientTape() as outer:
        outer.watch([x, dy])
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = twin(x)
        dx = inner.gradient(y, x, dy)
    gradients = outer.gradient(dx, [x, dy], upstream, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return tuple(gradients)


@cache
def _register_gradients() -> None:
    import tensorflow as tf

    for name, function in _GRADIENTS.items():
        tf.RegisterGradient(f"KerasCaffe>{name}")(function)
