"""What is settled before TensorFlow is imported; `keras_caffe` imports this first.

Says what to install when TensorFlow is missing, and keeps its start-up messages off the screen of `keras-caffe`. With
another KERAS_BACKEND it may be missing: loading and the layers do without it, but not data, solver and pycaffe.
"""

import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HAS_TENSORFLOW = find_spec("tensorflow") is not None
NUMPY_BACKEND = ("jax", "scipy")
"""What Keras's NumPy backend imports besides NumPy"""

if not HAS_TENSORFLOW and os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
    raise ImportError(
        "keras_caffe needs TensorFlow 2.16.2 or newer, and none is installed. "
        "Install it with `pip install 'keras-caffe[tensorflow]'`, or without GPU support (a smaller download) "
        "with `pip install 'keras-caffe[tensorflow-cpu]'`."
    )

if os.environ.get("KERAS_BACKEND") == "numpy" and (_missing := [name for name in NUMPY_BACKEND if not find_spec(name)]):
    raise ImportError(
        f"Keras's NumPy backend needs {' and '.join(NUMPY_BACKEND)}; missing: {', '.join(_missing)}. "
        f"Install what is missing with `pip install {' '.join(_missing)}`, or choose another KERAS_BACKEND."
    )


PROGRAMS = (
    "keras-caffe", "caffe", "convert_imageset", "compute_image_mean", "extract_features", "upgrade_net_proto_text",
    "upgrade_net_proto_binary", "upgrade_solver_proto_text", "convert_mnist_data", "convert_cifar_data",
    "convert_annoset", "get_image_size", "convert_mnist_siamese_data",
)  # fmt: skip
"""The commands by which the command line is called; those of Caffe are the shim's, with `.bin`, too"""


def program_of(script: str) -> str:
    """The name of the program that is called by this path."""
    return Path(script).name.removesuffix(".exe").removesuffix(".bin")


CALLED_AS = program_of(sys.argv[0])


def is_command(argv: Sequence[str], original: Sequence[str]) -> bool:
    """Whether a process with these sys.argv and sys.orig_argv is `python -m keras_caffe`, or one of PROGRAMS.

    Anybody's script may be named as one of Caffe's programs; the shim's are told by what they import.
    """
    if argv[0] == "-m":  # as long as Python looks for the module
        return original[-len(argv)].removeprefix("-m") in ("keras_caffe", "keras_caffe.cli")
    script = Path(argv[0])
    name = program_of(argv[0])
    ours = name in PROGRAMS and script.is_file() and b"keras_caffe.cli" in script.read_bytes()
    return ours or name == "keras-caffe"


COMMAND_LINE = is_command(sys.argv, sys.orig_argv)
"""Whether this is a command, which imports what it needs: `--help` shall not wait for Keras."""


def prepare() -> None:
    """Imports what Keras needs to read a model of this package, and before it TensorFlow, without its notes.

    Nothing of that is ever garbage. To look for some among its million objects, while they are made and at every later
    collection, would take a second of a command's start.
    """
    gc.disable()
    try:
        _import_all()
    finally:
        gc.freeze()
        gc.enable()


def _import_all() -> None:
    if HAS_TENSORFLOW and sys.stderr:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        with hidden("jax", "matplotlib"):
            _import_in_silence("tensorflow")
        if os.environ["TF_CPP_MIN_LOG_LEVEL"] not in ("0", "1"):  # Who sets it so asks for its notes.
            sys.modules["tensorflow"].get_logger().setLevel("ERROR")
    with hidden("matplotlib"):
        for room in CLASSES:
            import_module(f"keras_caffe.{room}")


@contextmanager
def hidden(*modules: str) -> Iterator[None]:
    """Lets modules seem not to be installed: TensorFlow and Keras import them, which takes half a second each, for
    parts that no command uses. For commands only: others may use these parts."""
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None makes Python refuse the import
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def without_backend() -> None:
    """Lets Keras start in a second, for what computes nothing; should it import TensorFlow, that is silent."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if "keras" in sys.modules:
        return
    if all(find_spec(name) for name in NUMPY_BACKEND):
        os.environ["KERAS_BACKEND"] = "numpy"
    else:
        prepare()


CLASSES = ("layers", "losses", "metrics", "optimizers")
"""Rooms of the classes that a .keras file may name"""
LATER = {
    "CaffeError": "errors",
    "CaffeModel": "converters.model",
    "CaffeWarning": "errors",
    "check": "converters.check",
    "compare": "converters.comparison",
    "dataset": "data",
    "engine": "engines",
    "export": "serving",
    "fold": "converters.fold",
    "load": "converters.load",
    "load_solver": "solver",
    "register_layer": "registry",
    "save": "converters.save",
    "to_code": "code",
    "to_keras": "plain",
    "to_onnx": "onnx",
    "view": "page",
}
"""Public names and their modules, imported when they are first asked for: `import keras_caffe` shall be fast, and
with another backend than TensorFlow imports no TensorFlow, which takes seconds."""
ROOMS = (
    "beam",
    "code",
    "cv_dnn",
    "data",
    "engines",
    "known",
    "onnx",
    "ops",
    "page",
    "plain",
    "plots",
    "pycaffe",
    "runtimes",
    "serving",
    "solver",
)
WITH_TENSORFLOW = {"data", "dataset", "engine", "engines", "export", "load_solver", "pycaffe", "serving", "solver"}
WITH_TENSORFLOW |= {"beam"}


def later(name: str) -> Any:
    """What `keras_caffe.<name>` is where it is not imported yet. Raises AttributeError where there is no such name."""
    if HAS_TENSORFLOW or name not in WITH_TENSORFLOW:
        if name in LATER:
            return getattr(import_module(f"keras_caffe.{LATER[name]}"), name)
        if name in ROOMS or name in CLASSES:
            return import_module(f"keras_caffe.{name}")
    reason = "" if HAS_TENSORFLOW else "; some of its parts need TensorFlow, and none is installed"
    raise AttributeError(f"module 'keras_caffe' has no attribute {name!r}{reason}")


def names() -> list[str]:
    """What `dir(keras_caffe)` lists, and completion offers: what is imported later, too."""
    package = vars(sys.modules["keras_caffe"])
    return sorted({*package, *package["__all__"]})


def _import_in_silence(module: str) -> None:
    """Imports a module without what it says: no setting turns all of TensorFlow's notes off."""
    with stderr_silenced():
        import_module(module)


@contextmanager
def stderr_silenced() -> Iterator[None]:
    """Standard error leads nowhere inside, for native code, too."""
    try:
        stderr = os.dup(2)
    except OSError:  # A process may have closed it.
        yield
        return
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
