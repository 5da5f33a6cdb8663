"""Layer class -> the function that writes it as ONNX operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from keras_caffe.errors import CaffeError

Writer = Callable[..., str | Sequence[str]]
"""(site, *bottoms) -> top or tops, all of them tensors of the graph; see `keras_caffe.onnx.site.Site`."""
_Function = TypeVar("_Function", bound=Writer)

_writers: dict[type, Writer] = {}
_precise: dict[type, Callable[[Any], bool] | bool] = {}


def writes(*classes: type[Any], precise: Callable[[Any], bool] | bool = False) -> Callable[[_Function], _Function]:
    """Function decorator: the function writes layers of these classes, but not of classes derived from them.

    Args:
        *classes: layer classes, your own ones too.
        precise: half precision has no room for what the layer computes, as for indices; or what tells that of a layer.

    Raises:
        CaffeError: another function writes one of them already.
    """

    def decorate(function: _Function) -> _Function:
        for cls in classes:
            if _writers.setdefault(cls, function) is not function:
                raise CaffeError(f"layers of class {cls.__name__} have an ONNX writer already")
            _precise[cls] = precise
        return function

    return decorate


def writer_of(cls: type[Any]) -> Writer | None:
    """The function that writes layers of exactly this class; a derived class may compute something else."""
    return _writers.get(cls)


def is_precise(layer: Any) -> bool:
    """Whether a layer computes in float32 even in a file of half precision."""
    precise = _precise.get(type(layer), False)
    return precise(layer) if callable(precise) else precise
