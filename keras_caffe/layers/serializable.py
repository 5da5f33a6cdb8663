"""Class decorators by which Keras saves and loads what this package defines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar

import keras

PACKAGE = "keras_caffe"
LATER = {"Transform": "data.transform", "TrainNet": "solver.train_net"}
"""Classes that a .keras file may name, and their modules, which import TensorFlow and much that only they need"""
Registered = TypeVar("Registered", bound=type)


def serializable(cls: Registered) -> Registered:
    """Class decorator: Keras saves and loads layers and models of this package by the class's name."""
    return _registered(PACKAGE, cls)


def serializable_as(room: str) -> Callable[[Registered], Registered]:
    """The same for another kind of class, whose names may be those of layers too."""
    return lambda cls: _registered(f"{PACKAGE}.{room}", cls)


def _registered(package: str, cls: Registered) -> Registered:
    registered: Registered = keras.saving.register_keras_serializable(package=package)(cls)  # Keras states no types
    return registered


@dataclass(frozen=True)
class Later:
    """Stands in Keras's list for a class until a file names it; its module then puts the class itself there."""

    name: str
    module: str

    def from_config(self, config: dict[str, Any]) -> Any:
        """What the class makes of the config. Raises ImportError where TensorFlow is missing."""
        return getattr(import_module(f"{PACKAGE}.{self.module}"), self.name).from_config(config)


for _name, _module in LATER.items():
    keras.saving.get_custom_objects().setdefault(f"{PACKAGE}>{_name}", Later(_name, _module))
