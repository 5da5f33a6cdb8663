"""Caffe type name -> layer class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from typing import Any, TypeVar

from keras_caffe.errors import CaffeError, Call, Option, UnknownLayerError, nearest

ENTRY_POINTS = "keras_caffe.layers"

LayerClass = TypeVar("LayerClass", bound=type)

_classes: dict[str, type] = {}


def register_layer(*types: str) -> Callable[[LayerClass], LayerClass]:
    """Class decorator: the class builds Caffe layers of these types.

    Args:
        *types: Caffe type names, as written in `type: "..."`.

    Raises:
        CaffeError: a type is already registered by another class.
    """

    def decorate(cls: LayerClass) -> LayerClass:
        for name in types:
            known = _classes.setdefault(name, cls)
            if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
                option = Option(
                    "python_layers" if "." in name else "custom_layers", {name: ...}, "for one call instead"
                )
                raise CaffeError(
                    f"layer type {name!r} is already registered by {known.__module__}.{known.__qualname__}",
                    fix=("Give the type another name.", option),
                )
            _classes[name] = cls
        return cls

    return decorate


def registered() -> dict[str, type[Any]]:
    """Every registered type, in alphabetical order; classes of installed packages come in through entry points."""
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        if entry.name not in _classes:
            register_layer(entry.name)(entry.load())
    return dict(sorted(_classes.items()))


def class_of(type: str) -> type[Any] | None:
    """The class that is registered for a type, if there is one; installed packages are searched only if need be."""
    return _classes.get(type) or registered().get(type)


def find(types: Iterable[tuple[str, Any]], custom: Mapping[str, type] | None = None) -> dict[str, type[Any]]:
    """The classes for the given types; all the unknown ones are reported together.

    Args:
        types: pairs (type name, where it occurs, for the message).
        custom: classes for this call; they come before the registered ones.

    Raises:
        UnknownLayerError: some types are neither in `custom` nor registered.
    """
    types = list(types)
    known = {**_classes, **(custom or {})}
    if any(name not in known for name, _ in types):  # Only then are installed packages searched.
        known = {**registered(), **(custom or {})}
    unknown: dict[str, list[Any]] = {}
    classes = {}
    for name, where in types:
        if name in known:
            classes[name] = known[name]
        else:
            unknown.setdefault(name, []).append(where)
    if unknown:
        raise UnknownLayerError(
            f"unknown layer type{'s' if len(unknown) > 1 else ''} "
            + ", ".join(_describe(name, where, known) for name, where in unknown.items()),
            expected=None if any(nearest(name, known) for name in unknown) else f"one of {', '.join(known)}",
            fix=(
                Call("keras_caffe.register_layer", ", ".join(map(repr, unknown)), "on a class that computes it"),
                Option("custom_layers", {name: ... for name in unknown}, "for one call only"),
            ),
        )
    return classes


def _describe(name: str, where: list[Any], known: Mapping[str, type]) -> str:
    near = nearest(name, known)
    more = f" and {len(where) - 2} more" if len(where) > 2 else ""
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"{name!r} (layer {', '.join(map(str, where[:2]))}{more}{hint})"
