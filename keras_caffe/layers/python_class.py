"""The classes behind layers of type "Python", and those layers as sources where there is no class."""

from __future__ import annotations

import importlib
from typing import Any

import keras

from keras_caffe import registry
from keras_caffe.errors import Option, UnknownLayerError
from keras_caffe.layers.context import load_context
from keras_caffe.layers.source import SourceLayer


def class_name(layer: Any) -> str:
    """ "module.Class" as a LayerParameter names it."""
    return f"{layer.python_param.module}.{layer.python_param.layer}"


def find_class(name: str, required: bool = True) -> Any:
    """The class that a file calls "module.Class"; None if there is none, or python_layers say so, and none is required.

    Raises:
        UnknownLayerError: there is none, or the module that the caller allows to import has none.
    """
    given, reason = load_context().python_layers or {}, None
    if name in given:
        named = given[name]
    else:
        named = keras.saving.get_registered_object(name) or registry.registered().get(name)
    if named is None and name not in given and load_context().allow_python_imports:
        module, _, attribute = name.rpartition(".")
        try:
            named = getattr(importlib.import_module(module), attribute)
        except Exception as error:  # Whatever the module does when it is imported.
            reason = f"{type(error).__name__}: {error}"
    if named is None and (required or reason):
        raise UnknownLayerError(
            f"no class for the Python layer {name!r}",
            received=reason,
            fix=(
                Option("python_layers", {name: ...}, "with the class"),
                Option("allow_python_imports", True, "to import the module, if you trust the file"),
            ),
        )
    return named


class PythonSourceLayer(SourceLayer):
    """A Python layer without bottoms whose class is not given: the caller feeds its tops."""

    @classmethod
    def hint(cls, layer: Any) -> str:
        return f", or the class: python_layers={{{class_name(layer)!r}: <class>}}"
