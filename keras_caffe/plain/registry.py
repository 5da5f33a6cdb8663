"""Layer class -> the function that says with Keras's own layers what it computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from keras_caffe.errors import CaffeError

Turner = Callable[..., Any]
"""(site, *bottoms) -> top or list of tops, symbolic tensors all; None where Keras has no layer for these arguments."""

_Function = TypeVar("_Function", bound=Turner)

_turners: dict[type, Turner] = {}
_for_shared: set[Turner] = set()


def turns(*classes: type[Any], shared: bool = False) -> Callable[[_Function], _Function]:
    """Function decorator: the function turns layers of these classes, but not of classes derived from them.

    Args:
        shared: also those some of whose blobs other layers use.

    Raises:
        CaffeError: another function turns one of them already.
    """

    def decorate(function: _Function) -> _Function:
        if shared:
            _for_shared.add(function)
        for cls in classes:
            if _turners.setdefault(cls, function) is not function:
                raise CaffeError(f"layers of class {cls.__name__} are turned by another function already")
        return function

    return decorate


def turner_of(cls: type[Any], shared: bool = False) -> Turner | None:
    """The function for layers of exactly this class; a derived class may compute something else."""
    turner = _turners.get(cls)
    return None if shared and turner not in _for_shared else turner
