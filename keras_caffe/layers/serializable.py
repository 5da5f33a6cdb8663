"""Class decorators by which Keras saves and loads what this package defines."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import keras

PACKAGE = "keras_caffe"
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
