"""The classes behind layers of type "Python", and those layers as sources where there is no class."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Sequence
from typing import Any

import keras

from keras_caffe import registry
from keras_caffe.errors import CaffeWarning, Cure, NetError, Option, UnknownLayerError, nearest
from keras_caffe.layers.base import CaffeLayer, check_count
from keras_caffe.layers.context import load_context
from keras_caffe.layers.serializable import PACKAGE
from keras_caffe.layers.source import SourceLayer
from keras_caffe.shapes import Shape, Sizes


def class_name(layer: Any) -> str:
    """ "module.Class" as a LayerParameter names it."""
    return f"{layer.python_param.module}.{layer.python_param.layer}"


def find_class(name: str, required: bool = True) -> Any:
    """The class that a file calls "module.Class"; None if there is none, or python_layers say so, and none is required.

    It comes from the caller (python_layers, Keras's custom objects, the registry), from the module where the caller
    allows that, or is the one that this package has for a well-known name.

    Raises:
        UnknownLayerError: there is none.
    """
    given = load_context().python_layers or {}
    named, reason = (given[name], None) if name in given else _found(name)
    if named is None and (required or reason):
        near = [f"python_layers has {key!r}." for key in nearest(name, given)]
        raise UnknownLayerError(
            f"no class for the Python layer {name!r}", received=reason, fix=(*near, *python_cures(name))
        )
    if named is not None and reason:
        problem = f"the Python layer {name!r} cannot be imported; this package's own class stands in for it"
        warnings.warn(CaffeWarning(problem, received=reason), stacklevel=2)
    return named


def _found(name: str) -> tuple[Any, str | None]:
    """The class of that name that no python_layers give, and why its module has none, if the caller allows imports."""
    named = keras.saving.get_registered_object(name) or registry.registered().get(name)
    if named is not None and not is_own(named):
        return named, None
    imported, reason = _imported(name)
    return imported or named, reason


def _imported(name: str) -> tuple[Any, str | None]:
    """The class of that name in its module and, if that fails, why; neither unless the caller allows imports."""
    if not load_context().allow_python_imports:
        return None, None
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute), None
    except Exception as error:  # Whatever the module does when it is imported.
        return None, f"{type(error).__name__}: {error}"


def is_own(cls: Any) -> bool:
    """Whether a class is one of this package."""
    return cls is not None and cls.__module__.startswith(f"{PACKAGE}.")


def python_cures(name: str) -> tuple[Cure, ...]:
    """How a caller names the class of a Python layer; where a script brings its own, what that script needs."""
    scripts: Any = load_context().python_layers
    if hasattr(scripts, "cures"):
        return tuple(scripts.cures(name))
    return (
        Option("python_layers", {name: ...}, "with the class"),
        Option("allow_python_imports", True, "to import the module, if you trust the file"),
    )


def check_stand_in(layer: Any, cls: type[CaffeLayer]) -> None:
    """Refuses a Python layer that only shares its name with the one that this package has a class for."""
    counts = {"bottoms": len(layer.bottom), "tops": len(layer.top)}
    try:
        for what, number in counts.items():
            check_count(what, number, getattr(cls, what))
    except NetError as error:
        name = class_name(layer)
        raise UnknownLayerError(
            f"no class for the Python layer {name!r}: this package's own class of that name has another number of "
            f"{error.problem.rpartition(' ')[2]}",
            expected=error.expected,
            received=error.received,
            fix=python_cures(name),
        ) from None


def filled(shapes: Sequence[Shape], at_first: Sequence[Sizes], more: int) -> list[Sizes]:
    """The shapes with the sizes at set-up, or these plus `more`, where they are not known."""
    pairs = zip(shapes, at_first, strict=True)
    return [tuple(k + more if s is None else s for s, k in zip(*pair, strict=True)) for pair in pairs]


class PythonSourceLayer(SourceLayer):
    """A Python layer without bottoms whose class is not given: the caller feeds its tops."""

    @classmethod
    def cures(cls, layer: Any) -> tuple[Sequence[Cure], Sequence[Cure]]:
        return python_cures(class_name(layer)), ()
